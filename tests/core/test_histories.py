"""Logs that a released version wrote fold to the same state for ever."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from arkor.core.calls import calls_of
from arkor.core.fold import fold, fold_all
from arkor.core.notes import read_note
from arkor.core.record import Record, canonical
from arkor.core.state import INITIAL, RunState

FOLDER = Path(__file__).parents[1] / "histories"
LOGS = sorted(FOLDER.glob("*.log.json"))


def read(log: Path) -> list[Record]:
    return [
        Record(
            **{
                **row,
                "prev_digest": bytes.fromhex(row["prev_digest"]),
                "digest": bytes.fromhex(row["digest"]),
            }
        )
        for row in json.loads(log.read_text())
    ]


def shown(state: RunState, records: list[Record]) -> dict[str, Any]:
    """A state as JSON, and which callbacks each record is given to."""
    plain = {
        **{name: getattr(state, name) for name in RunState.__dataclass_fields__},
        "head": state.head.hex(),
        "job": state.job and state.job.to_wire(),
        "wish": asdict(state.wish) if state.wish else None,
        "consumers": {name: asdict(state.consumer(name)) for name in state.consumers},
        "settled": state.settled,
        "calls": calls(records),
    }
    value: dict[str, Any] = json.loads(json.dumps(plain, default=dict))
    return value


def calls(records: list[Record]) -> dict[int, tuple[str, ...]]:
    given, state = {}, INITIAL
    for record in records:
        state = fold(state, record)
        if names := calls_of(record, state):
            given[record.seq] = names
    return given


def test_there_are_some() -> None:
    assert [log.name for log in LOGS] == [
        "0.1.0-cancelled.log.json",
        "0.1.0-completed.log.json",
        "0.1.0-resumed.log.json",
    ]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_a_history_comes_to_the_state_it_came_to_then(log: Path) -> None:
    records = read(log)
    now = shown(fold_all(records), records)
    then = json.loads(log.with_name(log.name.replace(".log.", ".state.")).read_text())
    for name, consumer in then["consumers"].items():
        now["consumers"][name] = known_then(now["consumers"][name], consumer)
    now["wish"] = known_then(now["wish"], then["wish"])
    assert known_then(now, then) == then


def known_then(now: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """A newer release may know more about a run, never something else."""
    return {name: now.get(name) for name in then}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_a_history_verifies_and_each_note_is_understood(log: Path) -> None:
    before = bytes(32)
    for seq, record in enumerate(read(log), 1):
        form = canonical(
            record.run_id,
            seq,
            record.source,
            record.type,
            record.sse_id,
            record.recorded_at,
            record.data,
        )
        assert record.digest == hashlib.sha256(before + form).digest()
        assert record.source == "stream" or read_note(record) is not None
        before = record.digest
