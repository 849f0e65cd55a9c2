"""A run of many records is verified: how long that takes beside hashlib alone, in which memory.

Usage: python tests/soak/million.py RECORDS FOLDER; prints one JSON object.
"""

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from arkor.core.record import Entry, canonical
from arkor.store.journal import Journal
from arkor.store.owner import current_owner
from arkor.store.writer import NewRun, Writer

BATCH = 500


def event(n: int) -> Entry:
    data = {
        "type": "training.log",
        "jobId": "9f2b3c1e-0000-4000-8000-000000000000",
        "timestamp": "2026-11-24T10:00:00.000Z",
        "step": n,
        "loss": round(2 / (n + 1), 6),
        "learningRate": 0.0002,
    }
    return Entry("stream", "training.log", json.dumps(data, separators=(",", ":")), str(n))


def write(path: Path, records: int) -> str:
    writer = Writer(path)
    row = NewRun(name="long", project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
    with writer.transaction(durable=False) as tx:
        tx.create_run(row, [event(0)], current_owner())
    for first in range(1, records, BATCH):
        batch = [event(n) for n in range(first, min(first + BATCH, records))]
        writer.append(row.run_id, batch, epoch=1, durable=False)
    writer.close()
    return row.run_id


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def hashing_alone(journal: Journal, run_id: str, sample: int) -> float:
    """Seconds that hashlib takes for a record's bytes, over a sample of the run."""
    forms = [
        each.prev_digest
        + canonical(
            each.run_id, each.seq, each.source, each.type, each.sse_id, each.recorded_at, each.data
        )
        for each in journal.records(run_id, limit=sample)
    ]
    began = time.perf_counter()
    for form in forms:
        hashlib.sha256(form).digest()
    return (time.perf_counter() - began) / len(forms)


def main() -> None:
    records, folder = int(sys.argv[1]), Path(sys.argv[2])
    path = folder / "arkor.db"
    run_id = write(path, records)
    journal = Journal(path)
    began = time.perf_counter()
    report = journal.verify(run_id)
    seconds = time.perf_counter() - began
    peak = peak_mb()
    alone = hashing_alone(journal, run_id, min(records, 50_000)) * records
    found = {
        "records": report.records,
        "ok": report.ok,
        "seconds": round(seconds, 2),
        "hashlib alone": round(alone, 2),
        "of its speed": round(alone / seconds, 2),
        "peak_rss_mb": round(peak),
        "file_mb": path.stat().st_size // 1_000_000,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
