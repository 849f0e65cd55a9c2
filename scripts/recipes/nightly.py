"""Retrain once a night, from cron: `0 3 * * * python nightly.py`.

The date is the run's key. Started twice in one night, or again after a crash, it goes on with
the night's run; when that has ended, it says how and submits nothing.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from arkor import run_trainer_sync

ENTRY = Path(__file__).parent / "src/arkor/index.py"  # cron starts elsewhere

if __name__ == "__main__":
    os.environ["RUN_LABEL"] = f"nightly-{datetime.now(UTC).date()}"
    result = run_trainer_sync(ENTRY, check=True)
    print(f"{os.environ['RUN_LABEL']}: {result.status}, {len(result.artifacts)} artifacts")
