"""Each benchmark runs, at its smallest: what it measures is there. Nothing is timed here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent
SUBJECTS = {
    "appends": 4,
    "ingest": 5,
    "delivery": 1,
    "latency": 12,
    "resume": 6,
    "reading": 6,
    "concurrency": 3,
    "startup": 6,
    "memory": 1,
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_benchmark_measures(subject: str, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, BENCH / "run.py", subject, "--rounds", "1", "--scale", "0.0001"]
    done = subprocess.run(
        [*command, "--json", figures], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["measured"][subject]
    assert len(rows) >= SUBJECTS[subject]
    assert all(row["median"] > 0 for row in rows)
    assert all(row["what"] in done.stdout for row in rows)
