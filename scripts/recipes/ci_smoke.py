"""Check a trainer end to end in CI: with ARKOR_SMOKE set it is a dry run of a few steps.

`check=True` makes a failed run a failed CI job: without it, `run_trainer` returns either way.
"""

import os
from pathlib import Path

from arkor import run_trainer_sync

ENTRY = Path(__file__).parent / "src/arkor/index.py"

if __name__ == "__main__":
    if os.environ.get("CI"):
        os.environ["ARKOR_SMOKE"] = "1"
    run_trainer_sync(ENTRY, check=True)
