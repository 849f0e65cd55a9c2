"""A long run, exported in every format and imported again: how fast, and in how much memory.

`python -m tests.soak.exporting FOLDER RECORDS` prints JSON; each export is a process of its own.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from arkor.core.notes import SubmitRequested, entry_of
from arkor.core.record import Entry
from arkor.store.exporting import FORMATS
from arkor.store.importing import import_run
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import Writer

BATCH = 10_000


def main() -> None:
    folder, records = Path(sys.argv[1]), int(sys.argv[2])
    make(folder / "arkor.db", records)
    steps = [*FORMATS, "import"]
    found = {step: measured(folder, records, step) for step in steps}
    print(json.dumps({"records": records, **found}))


def make(path: Path, records: int) -> None:
    """A journal with one run of so many records, as an owner would have written it."""
    writer = Writer(path)
    row = NewRun(name="long", project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
    place = {"org_slug": "o", "project_slug": "p", "project_root": "/p", "base_url": "local"}
    wish = SubmitRequested("long", {}, "f", row.run_id, **place)
    with writer.transaction(durable=False) as tx:
        tx.create_run(row, [entry_of(wish)], current_owner())
    for first in range(1, records, BATCH):
        events = [event(step) for step in range(first, min(records, first + BATCH))]
        writer.append(row.run_id, events, epoch=1, durable=False)
    writer.close()


def event(step: int) -> Entry:
    figures = {"step": step, "loss": 1 / step, "learningRate": 1e-4, "epoch": step / 1e5}
    data = json.dumps({"type": "training.log", "jobId": "job-1", **figures})
    return Entry("stream", "training.log", data, str(step))


def measured(folder: Path, records: int, step: str) -> dict[str, Any]:
    """What one step took, in a process of its own."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.exporting", str(folder), step, "alone"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    return {"records_per_second": int(records / seconds), **json.loads(done.stdout)}


def alone(folder: Path, step: str) -> None:
    """One step, and what is known of it in this process."""
    journal = Journal(folder / "arkor.db")
    run_id = journal.resolve("@last")
    path = folder / ("run.jsonl" if step == "import" else f"run.{step}")
    if step == "import":
        whole = imported(path, folder / "imported.db") == journal.verify(run_id).head
    else:
        with path.open("wb") as file:
            file.writelines(journal.export(run_id, step))
        whole = path.stat().st_size > 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    size = path.stat().st_size // 1_000_000
    print(json.dumps({"peak_rss_mb": peak, "size_mb": size, "whole": whole}))


def imported(path: Path, to: Path) -> str:
    """The head of the run that was imported."""
    writer = Writer(to)
    with path.open("rb") as file:
        run = import_run(writer, file, path.name)
    writer.close()
    return Journal(to).verify(run.run_id).head


if __name__ == "__main__":
    if sys.argv[3:] == ["alone"]:
        alone(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
