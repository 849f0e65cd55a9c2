"""Which callbacks a record owes: the same answer for delivery, for receipts and for replay."""

from collections.abc import Mapping, Set
from typing import Final

from arkor.core.events import (
    CheckpointSaved,
    Event,
    Malformed,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    decode,
)
from arkor.core.notes import Reconciled, SubmitRefused
from arkor.core.record import Record
from arkor.core.state import Consumer, RunState

__all__ = ["CALLBACKS", "calls_of", "event_of", "is_for_nobody", "owed"]

CALLBACKS: Final = (
    "on_started",
    "on_log",
    "on_checkpoint",
    "on_completed",
    "on_failed",
    "on_cancelled",
    "on_event",
)
"""The names a callback set may define."""

_BY_EVENT: Final[Mapping[type, str]] = {
    TrainingStarted: "on_started",
    TrainingLog: "on_log",
    CheckpointSaved: "on_checkpoint",
    TrainingCompleted: "on_completed",
    TrainingFailed: "on_failed",
}
_ENDS: Final = (Reconciled.TYPE, SubmitRefused.TYPE)
_MARKS: Final = ("checkpoint.saved", "training.completed", "training.failed")
"""Events for which a receipt may be due although nobody is called."""

_BY_STATUS: Final[Mapping[str, str]] = {
    "completed": "on_completed",
    "failed": "on_failed",
    "cancelled": "on_cancelled",
}


def event_of(record: Record, state: RunState) -> Event | None:
    """The event in a stream record of the run in `state`; `None` for what this side noted."""
    if record.source != "stream":
        return None
    return decode(record.type, record.data, state.job_id)


def calls_of(record: Record, state: RunState) -> tuple[str, ...]:
    """The callbacks a record is given to, in order. `state` is that after the record."""
    event = event_of(record, state)
    if event is None:
        ends_here = record.type == Reconciled.TYPE and state.terminal_seq == record.seq
        return (_BY_STATUS[state.status],) if ends_here else ()
    return _calls_for(event)


def is_for_nobody(record: Record, job_id: str | None, wanted: Set[str]) -> bool:
    """Whether a record owes none of the `wanted` callbacks a call, and no consumer a receipt.

    True of most records, and told without the run's state.
    """
    if record.source == "local":
        return record.type not in _ENDS
    if record.type in _MARKS:
        return False
    return wanted.isdisjoint(_calls_for(decode(record.type, record.data, job_id)))


def _calls_for(event: Event) -> tuple[str, ...]:
    if isinstance(event, Malformed):
        return ()
    typed = _BY_EVENT.get(type(event))
    return (typed, "on_event") if typed else ("on_event",)


def owed(record: Record, state: RunState, consumer: Consumer) -> tuple[str, ...]:
    """Those of a record's callbacks that `consumer` has not finished."""
    if record.seq <= consumer.cursor:
        return ()
    calls = calls_of(record, state)
    if consumer.partial and consumer.partial[0] == record.seq and consumer.partial[1] in calls:
        return calls[calls.index(consumer.partial[1]) + 1 :]
    return calls
