"""How long an event that comes alone takes to its callback, beside writing and syncing a file."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from backend import data_of
from measure import Figure, Row, Size, call

TITLE = "From an event's arrival to its callback, one at a time"


def rows(size: Size) -> list[Row]:
    found = []
    for rate, full in ((1, 20), (10, 200), (100, 1000)):
        count = size.of(full)
        alone, ours = [], []
        for _ in range(max(1, size.rounds // 3)):
            alone.append(call("latency:synced", rate=rate, count=count))
            ours.append(call("latency:arkor", rate=rate, count=count))
        for place, name in enumerate(("p50", "p99")):
            base = Figure(tuple(each[place] for each in alone))
            mine = Figure(tuple(each[place] for each in ours))
            ratio = Figure(tuple(o[place] / a[place] for o, a in zip(ours, alone, strict=True)))
            what = f"{rate} a second, {name}"
            found.append(Row(f"append and fdatasync, {what}", base, "ms"))
            found.append(Row(f"arkor, {what}", mine, "ms", "of append and fdatasync", ratio))
    return found


def synced(rate: int, count: int) -> tuple[float, float]:
    """Milliseconds that appending 250 bytes and syncing them take, at that rhythm."""
    took = []
    file = os.open(Path(os.environ["ARKOR_BENCH_FOLDER"]) / "raw", os.O_CREAT | os.O_WRONLY)
    for _ in range(count):
        time.sleep(1 / rate)
        began = time.monotonic()
        os.write(file, b"x" * 250)
        os.fdatasync(file)
        took.append(time.monotonic() - began)
    return percentiles(took)


def arkor(rate: int, count: int) -> tuple[float, float]:
    """The same from the moment the backend writes a frame to the call. One clock for both."""
    from ingest import trainer

    from arkor.core.wire import frame
    from arkor.testing import Answer, Received, ScriptedBackend, Step, Wait

    sent: dict[int, float] = {}
    took: list[float] = []

    def events(job: str) -> Iterator[Step]:
        for number in range(1, count + 1):
            yield Wait(1 / rate)
            sent[number] = time.monotonic()
            yield frame("training.log", data_of(number, job=job), str(number))
        data = data_of(count + 1, "training.completed", job)
        yield frame("training.completed", data, str(count + 1))

    class Trickle(ScriptedBackend):
        def stream(self, request: Received) -> Answer:
            kind = {"content-type": "text/event-stream"}
            return Answer(200, kind, events(request.path.split("/")[3]))

    def arrive(ctx: object) -> None:
        took.append(time.monotonic() - sent[ctx.step])

    with Trickle() as backend:
        trainer(backend.url, callbacks={"on_log": arrive}).wait_sync()
    return percentiles(took)


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    place = min(len(ordered) - 1, round(0.99 * len(ordered)))
    return ordered[len(ordered) // 2] * 1000, ordered[place] * 1000


__all__ = ["TITLE", "arkor", "percentiles", "rows", "synced"]
