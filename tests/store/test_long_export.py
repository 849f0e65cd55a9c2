"""The soak's export of a million records, scaled down: every step, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_long_run_is_exported_and_imported_whole(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.exporting", str(folder), "12000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    steps = {name: each for name, each in said.items() if name != "records"}
    assert set(steps) == {"jsonl", "csv", "parquet", "cloudevents", "import"}
    assert all(each["whole"] for each in steps.values())
    # Python, SQLAlchemy and one page of records; Arrow besides.
    peaks = {name: each["peak_rss_mb"] for name, each in steps.items()}
    assert peaks.pop("parquet") < 400
    assert max(peaks.values()) < 150, peaks
