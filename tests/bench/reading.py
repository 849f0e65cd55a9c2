"""Reading a long log: replay, verify, export; listing many runs; bytes on the disk."""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from measure import Row, Size, beside, call, plain

TITLE = "Reading what was recorded"


def rows(size: Size) -> list[Row]:
    count, runs = size.of(1_000_000, 2000), size.of(10_000, 20)
    rounds = max(1, size.rounds // 3)
    with _folder() as home:
        call("reading:record", home=home, count=count)
        per_event = Path(home, "arkor.db").stat().st_size / count

        def rate(name: str) -> float:
            return count / float(call(f"reading:{name}", home=home))

        # The same bytes through hashlib alone are what the others stand beside.
        subjects = {name: partial(rate, name) for name in ("hashing", "verify", "export", "replay")}
        found = beside(subjects, "records/s", reference="hashing", rounds=rounds)
    found.append(plain("the file", "bytes per event", lambda: per_event, rounds=1))
    with _folder() as home:
        call("reading:list_many", home=home, count=runs)
        found.append(
            plain(f"arkor runs --all, of {runs:,}", "s", lambda: _listing(home), rounds=rounds)
        )
    return found


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        yield str(Path(folder) / "home")


def record(count: int) -> int:
    """A run of so many events, in groups of 500, and its end."""
    from appends import new_run
    from backend import data_of

    from arkor.core.notes import Submitted, entry_of
    from arkor.core.record import Entry

    writer, run_id = new_run()
    job = {"id": "job-1", "status": "queued", "name": "bench", "createdAt": "2026-11-24T12:00:00Z"}
    job |= {"orgId": "o", "projectId": "p", "config": {}}
    writer.append(run_id, [entry_of(Submitted(job))], epoch=1, durable=False)
    for first in range(1, count, 500):
        numbers = range(first, min(first + 500, count))
        batch = [Entry("stream", "training.log", data_of(n), str(n)) for n in numbers]
        writer.append(run_id, batch, epoch=1, durable=False)
    data = data_of(count, "training.completed")
    ended = Entry("stream", "training.completed", data, str(count))
    writer.append(run_id, [ended], epoch=1, durable=False)
    writer.close()
    return count


def replay() -> float:
    import arkor

    async def nothing(ctx: object) -> None:
        """An async callback that does nothing."""

    began = time.perf_counter()
    report = asyncio.run(arkor.replay("@last", {"on_log": nothing, "name": "new"}))
    assert report.ok
    assert report.calls
    return time.perf_counter() - began


def verify() -> float:
    import arkor

    began = time.perf_counter()
    assert arkor.open_journal().verify("@last").ok
    return time.perf_counter() - began


def export() -> float:
    import arkor

    began = time.perf_counter()
    size = sum(map(len, arkor.open_journal().export("@last", "jsonl")))
    assert size
    return time.perf_counter() - began


def hashing() -> float:
    """The same bytes through hashlib alone, once they are in memory."""
    import arkor
    from arkor.core.record import canonical

    seconds = 0.0
    for r in arkor.open_journal().records("@last"):
        form = canonical(r.run_id, r.seq, r.source, r.type, r.sse_id, r.recorded_at, r.data)
        began = time.perf_counter()
        hashlib.sha256(r.prev_digest + form).digest()
        seconds += time.perf_counter() - began
    return seconds


def list_many(count: int) -> int:
    from appends import new_run

    for number in range(count):
        new_run(f"run-{number}")
    return count


def _listing(home: str) -> float:
    command = [sys.executable, "-m", "arkor", "runs", "--all"]
    began = time.perf_counter()
    subprocess.run(
        command, env={**os.environ, "ARKOR_HOME": home}, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


__all__ = ["TITLE", "export", "hashing", "list_many", "record", "replay", "rows", "verify"]
