"""The training worker's own log of events, and what makes two of them the same."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arkor.backend.channel import Channel
from arkor.backend.eventlog import EventLog
from arkor.backend.sameness import sameness

STARTED = {"type": "training.started", "metadata": {}}


def log_of(step: int, **more: Any) -> dict[str, Any]:
    return {"type": "training.log", "step": step, "loss": 1.0, **more}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def said(pipe: tuple[int, int]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in os.read(pipe[0], 1 << 16).splitlines()]


def test_what_was_said_is_said_again_up_to_a_step(pipe: tuple[int, int], tmp_path: Path) -> None:
    first = EventLog(tmp_path / "events.jsonl", Channel(pipe[1]))
    for event in (STARTED, log_of(1), log_of(1), log_of(2), log_of(3)):
        first.send(event)
    assert first.last_step == 3
    assert said(pipe) == [STARTED, log_of(1), log_of(2), log_of(3)]
    second = EventLog(tmp_path / "events.jsonl", Channel(pipe[1]))
    second.repeat(until=2)
    second.send(log_of(2))
    assert said(pipe) == [STARTED, log_of(1), log_of(2)]


@pytest.mark.parametrize("torn", [b'{"type": "training.lo', b"\0" * 9, b"\xff", b"7"])
def test_a_torn_line_counts_for_nothing(torn: bytes, pipe: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = [json.dumps(event).encode() for event in (STARTED, log_of(1))]
    path.write_bytes(b"\n".join([whole[0], torn, whole[1], torn]))
    log = EventLog(path, Channel(pipe[1]))
    log.repeat()
    log.send(log_of(2))
    assert said(pipe) == [STARTED, log_of(1), log_of(2)]
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize(
    ("event", "same"),
    [
        (STARTED, "training.started"),
        (log_of(1), "training.log 1"),
        (log_of(1, evalLoss=None), "training.log 1"),
        (log_of(1, evalLoss=0.0), "training.log 1 evaluated"),
        ({"type": "training.failed", "step": 3, "error": "x"}, "training.failed"),
        ({"type": "note"}, None),
    ],
)
def test_what_makes_events_the_same(event: dict[str, Any], same: str | None) -> None:
    assert sameness(event) == same
