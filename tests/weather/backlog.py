"""A long backlog, followed by a process of its own: its peak memory, and its pace.

    python -m tests.weather.backlog 1000000

prints one JSON object. The backend is this process, the client a child with an empty journal.
`--each` gives every event to a callback; without it a slow callback sees one event in a thousand,
and delivery lags behind.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from arkor.core.wire import frame
from arkor.testing import Answer, Received, ScriptedBackend, Step

BLOCK = 200
"""Events that are sent at once."""

EVERY = 1000
"""One event in so many is a checkpoint."""

PAUSE = 0.02
"""Seconds that the slow callback takes for a checkpoint."""


def peak_rss_kb() -> int:
    """This program's peak memory. (`ru_maxrss` has that of the process it was forked from, too.)"""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def events(job_id: str, count: int) -> Iterator[Step]:
    """`count` events, the last of which completes the job."""
    block: list[bytes] = []
    for number in range(1, count + 1):
        block.append(event(job_id, number, last=number == count))
        if len(block) == BLOCK or number == count:
            yield b"".join(block)
            block.clear()


def event(job_id: str, number: int, *, last: bool) -> bytes:
    kind = "training.completed" if last else "training.log"
    if not last and number % EVERY == 0:
        kind = "checkpoint.saved"
    payload = {
        "type": kind,
        "jobId": job_id,
        "timestamp": "2026-11-24T12:00:00.000Z",
        "step": number,
        "loss": 1 / number,
        "learningRate": 2e-4,
        "epoch": number / 1000,
    }
    return frame(kind, json.dumps(payload), str(number))


class Backlog(ScriptedBackend):
    """A backend whose one job has `count` events behind it."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def stream(self, request: Received) -> Answer:
        (job_id,) = self.jobs
        return Answer(200, {"content-type": "text/event-stream"}, events(job_id, self.count))


def measure(count: int, *, each: bool) -> dict[str, Any]:
    """Follow a backlog of `count` events in a process of its own; what that process says."""
    with Backlog(count) as backend, tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "ARKOR_HOME": home, "HOME": home}
        said = subprocess.run(
            [sys.executable, __file__, "--url", backend.url, *["--each"] * each],
            env=environ,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        size = sum(path.stat().st_size for path in Path(home).glob("arkor.db*"))
    return {**json.loads(said.stdout), "journal_mb": round(size / 1e6, 1)}


def newest() -> int:
    """The seq of the last record in a journal that has one run."""
    from arkor import open_journal

    with closing(sqlite3.connect(f"{open_journal().path.as_uri()}?mode=ro", uri=True)) as journal:
        (seq,) = journal.execute("SELECT seq FROM records ORDER BY run DESC, seq DESC").fetchone()
    return int(seq)


def follow(url: str, *, each: bool) -> dict[str, Any]:
    """Be the client: follow the run to its end."""
    from arkor import TrainerOptions, create_trainer, open_journal
    from arkor.store.credentials import AnonymousCredentials

    lags: list[int] = []
    calls = 0

    def lag(ctx: Any) -> None:
        lags.append(newest() - ctx.event.seq)
        time.sleep(PAUSE)

    def count(ctx: Any) -> None:
        nonlocal calls
        calls += 1

    run = create_trainer(
        name="backlog",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks={"on_log": count} if each else {"on_checkpoint": lag},
        options=TrainerOptions(
            base_url=url, credentials=AnonymousCredentials("token-of-this-run", "a", "org")
        ),
    )
    run.start_sync()
    before = peak_rss_kb()
    began = time.perf_counter()
    run.wait_sync().raise_for_status()
    seconds = time.perf_counter() - began
    state = open_journal().run(run.run_id or "")
    events = sum(state.counts.values())
    return {
        "events": events,
        "records": state.records,
        "calls": calls or len(lags),
        "seconds": round(seconds, 2),
        "events_per_second": round(events / seconds),
        "greatest_lag": max(lags, default=0),
        "rss_before_mb": round(before / 1024, 1),
        "peak_rss_mb": round(peak_rss_kb() / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        print(json.dumps(follow(given.url, each=given.each)))
    else:
        print(json.dumps(measure(given.count, each=given.each)))


if __name__ == "__main__":
    main()
