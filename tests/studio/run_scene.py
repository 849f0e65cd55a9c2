"""Runs with everything that a run's page shows."""

import math
from collections.abc import Iterator
from pathlib import Path

from studio_app import COMPLETED, stream, write_run

from arkor.core.notes import (
    CallbackCompleted,
    CallbackFailed,
    Resumed,
    StepCompleted,
    StreamClosed,
    StreamGap,
    StreamOpened,
    entry_of,
)
from arkor.core.record import Entry
from arkor.store.writer import open_writer

MARKUP = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'"

ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "The capital is <b>Paris</b>."}}]
}


def course(steps: int, scale: float = 3.0) -> Iterator[Entry]:
    """Figures, a checkpoint in ten steps with what a callback asked it, a gap and a takeover."""
    yield entry_of(StreamOpened())
    yield stream("training.started", metadata={"totalSteps": steps}, id="1")
    # Two records are there before these; each further one has the number of its place.
    seq = 4
    for step in range(1, steps + 1):
        loss = scale / math.sqrt(step) + 0.12 * math.sin(step * 1.7)
        more = {"evalLoss": loss * 1.1} if step % 10 == 0 else {}
        time = f"2026-11-24T10:{step // 60:02}:{step % 60:02}Z"
        figures = {"loss": loss, "learningRate": 1e-3 * (1 - step / steps), **more}
        yield stream("training.log", step=step, timestamp=time, id=str(step + 10), **figures)
        seq += 1
        if step % 10 == 0:
            yield stream("checkpoint.saved", step=step, artifacts=[{}, {}], id=str(step + 5000))
            seq += 1
            saved = seq
            call = ("default", saved, "on_checkpoint")
            yield entry_of(StepCompleted(*call, "infer", "infer-1", "ab" * 32, ANSWER, 1))
            yield entry_of(CallbackCompleted("default", saved, "on_checkpoint", seconds=0.42))
            seq += 2
        if step == steps // 2:
            failed = CallbackFailed("default", seq, "on_log", 1, f"RuntimeError: {MARKUP}")
            yield entry_of(failed)
            yield entry_of(StreamClosed("the connection broke off", events=step))
            yield entry_of(StreamOpened(str(step + 10)))
            yield entry_of(StreamGap(str(step + 10), str(step + 12)))
            yield entry_of(Resumed(2, False, ("default",), {"pid": 7, "host": "elsewhere"}))
            seq += 5


def append(home: Path, run_id: str, *entries: Entry, **index: object) -> None:
    """Record more of a run; `index` is what changes in the list of runs."""
    open_writer(home).append(run_id, entries, epoch=None, durable=False, index=index)


def completed(home: Path, name: str = "support tone", steps: int = 120, scale: float = 3.0) -> str:
    """A run that has ended well, and that nothing is owed of."""
    run_id = write_run(home, name, *course(steps, scale))
    append(home, run_id, COMPLETED, status="completed", settled=True)
    return run_id


def running(home: Path, name: str = "nightly") -> str:
    """A run that this process follows."""
    return write_run(home, name, *course(40), status="running")
