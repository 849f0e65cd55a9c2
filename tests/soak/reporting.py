"""The report of a long run: how fast, in how much memory, and how large the page is.

`python -m tests.soak.reporting FOLDER RECORDS` prints JSON.
"""

import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from arkor.core.notes import CallbackCompleted, SubmitRequested, Submitted, entry_of
from arkor.core.record import Entry
from arkor.store.journal import Journal
from arkor.store.owner import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import Writer

BATCH = 10_000


def main() -> None:
    folder, records = Path(sys.argv[1]), int(sys.argv[2])
    make(folder / "arkor.db", records)
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.reporting", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout)


def make(path: Path, records: int) -> None:
    """A journal with one run of so many records: each event, and the receipt of its call."""
    writer = Writer(path)
    row = NewRun(name="long", project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
    place = {"org_slug": "o", "project_slug": "p", "project_root": "/p", "base_url": "local"}
    wish = SubmitRequested("long", {"model": "m"}, "f", row.run_id, consumers=("main",), **place)
    job = {"id": "job-1", "orgId": "o", "projectId": "p", "name": "long", "status": "running"}
    first = [entry_of(wish), entry_of(Submitted({**job, "createdAt": "2026-11-24T10:00:00Z"}))]
    with writer.transaction(durable=False) as tx:
        tx.create_run(row, first, current_owner())
    for begin in range(len(first) + 1, records + 1, BATCH):
        entries = [entry(seq) for seq in range(begin, min(begin + BATCH, records + 1))]
        writer.append(row.run_id, entries, epoch=1, durable=False)
    writer.close()


def entry(seq: int) -> Entry:
    """An odd record is an event, an even one the receipt of the call for it."""
    if seq % 2 == 0:
        return entry_of(CallbackCompleted("main", seq - 1, "on_log", seconds=0.001))
    step = seq // 2
    if step % 1_000 == 0:
        kind, figures = "checkpoint.saved", {"step": step, "artifacts": []}
    else:
        kind, figures = "training.log", {"step": step, "loss": 1 / step, "learningRate": 1e-4}
    payload = {"type": kind, "jobId": "job-1", "timestamp": "2026-11-24T10:00:00Z", **figures}
    return Entry("stream", kind, json.dumps(payload), str(step))


def alone(folder: Path) -> None:
    """Make the report in this process, and say what that took."""
    from arkor.runner.report import gather, render

    began = time.monotonic()
    report = gather(Journal(folder / "arkor.db"), "@last")
    page = render([report], now=datetime.now(UTC))
    found = {
        "records": report.verified.records,
        "ok": report.verified.ok,
        "calls": report.timeline.deliveries.finished,
        "seconds": round(time.monotonic() - began, 1),
        "page_mb": round(len(page) / 1e6, 1),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    alone(Path(sys.argv[1])) if len(sys.argv) == 2 else main()
