"""What a log adds up to: the one place where a run's state changes.

Folding is pure and total: no I/O, no clock, no randomness, and no record that it refuses. So the
same log gives the same state anywhere, and everything else that knows something about a run is
an index of this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

from arkor.core.events import (
    CheckpointSaved,
    Event,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    decode,
)
from arkor.core.notes import (
    Attached,
    CallbackCompleted,
    CallbackFailed,
    CancelRequested,
    Note,
    Reconciled,
    Resumed,
    StepCompleted,
    SubmitRefused,
    SubmitRequested,
    Submitted,
    read_note,
)
from arkor.core.record import Record
from arkor.core.state import INITIAL, Consumer, RunState
from arkor.core.wire import parse_job
from arkor.errors import ProtocolError

__all__ = [
    "Folding",
    "fold",
    "fold_all",
    "number_of",
    "receive",
]

MOST_CHECKPOINTS: Final = 1000
"""Steps that a state keeps; the log has them all."""

MOST_TYPES: Final = 256
"""Types of events that are counted apart: whoever invents more must not fill the memory."""

OTHER_TYPES: Final = "(other types)"

LONGEST_NUMBER: Final = 18
"""Digits of the longest id that is read as a number."""


def number_of(id: str) -> int | None:
    """An event id as a number, if it is one that a backend counts by."""
    return int(id) if len(id) <= LONGEST_NUMBER and id.isascii() and id.isdigit() else None


def fold_all(records: Iterable[Record], state: RunState = INITIAL) -> RunState:
    """The state after all of `records`, which follow `state`'s last one."""
    folding = Folding(state)
    for record in records:
        folding.add(record)
    return folding.state


def fold(state: RunState, record: Record) -> RunState:
    """The state after one more record."""
    return fold_all((record,), state)


class Folding:
    """A state on its way through a log.

    A state has many fields, and most records change the same few, so these are kept apart and
    changed in place; `state` puts them together when somebody asks.
    """

    __slots__ = (
        "_changed",
        "_consumers",
        "_counts",
        "_fixed",
        "_head",
        "_highest_id",
        "_last_event_id",
        "_last_id_seq",
        "_latest",
        "_run_id",
        "records",
    )

    def __init__(self, state: RunState = INITIAL) -> None:
        self._set(state)

    def _set(self, state: RunState) -> None:
        self._fixed, self._changed = state, False
        self._run_id = state.run_id
        self.records = state.records
        self._head = state.head
        self._last_event_id = state.last_event_id
        self._last_id_seq = state.last_id_seq
        self._highest_id = state.highest_id
        self._counts = dict(state.counts)
        self._latest = dict(state.latest)
        self._consumers = dict(state.consumers)

    @property
    def state(self) -> RunState:
        """The state after the last record that was added."""
        if self._changed:
            self._changed = False
            self._fixed = replace(
                self._fixed,
                run_id=self._run_id,
                records=self.records,
                head=self._head,
                last_event_id=self._last_event_id,
                last_id_seq=self._last_id_seq,
                highest_id=self._highest_id,
                counts=dict(self._counts),
                latest=dict(self._latest),
                consumers=MappingProxyType(dict(self._consumers)),
            )
        return self._fixed

    @property
    def outline(self) -> RunState:
        """The state but for the figures, ids, counts and cursors: what calls are made of.

        The run's job, its status, its artifacts and its end are those after the last record.
        """
        return self._fixed

    @property
    def terminal(self) -> bool:
        """Whether the run has ended."""
        return self._fixed.terminal

    @property
    def job_id(self) -> str | None:
        """The backend's id of the run, once it has accepted it."""
        return self._fixed.job_id

    def copy(self) -> "Folding":
        """The same, to go another way from here."""
        twin = Folding.__new__(Folding)
        for name in Folding.__slots__:
            setattr(twin, name, getattr(self, name))
        twin._counts, twin._latest = dict(self._counts), dict(self._latest)
        twin._consumers = dict(self._consumers)
        return twin

    def add(self, record: Record) -> None:
        """Go on to the next record."""
        self._changed = True
        self._run_id = record.run_id
        self.records = record.seq
        self._head = record.digest
        if record.sse_id is not None:
            self._identify(record.seq, record.sse_id)
        if record.source == "stream":
            self._observe(record)
        elif (note := read_note(record)) is not None:
            self._note(record, note)

    def _identify(self, seq: int, id: str) -> None:
        # An empty id asks for no place to go on from (WHATWG HTML, 9.2.6).
        self._last_event_id = id or None
        self._last_id_seq = seq
        number = number_of(id)
        if number is not None and (self._highest_id is None or number > self._highest_id):
            self._highest_id = number

    def _observe(self, record: Record) -> None:
        counts, kind = self._counts, record.type
        if kind not in counts and len(counts) >= MOST_TYPES:
            kind = OTHER_TYPES
        counts[kind] = counts.get(kind, 0) + 1
        if self._fixed.terminal:
            return
        event = decode(record.type, record.data, self._fixed.job_id)
        if isinstance(event, TrainingLog):
            _measure(self._latest, event)
        elif isinstance(event, _TURNS):
            self._set(_turn(self.state, record, event))

    def _note(self, record: Record, note: Note) -> None:
        if isinstance(note, CallbackCompleted | CallbackFailed):
            consumer = self._consumers.get(note.consumer) or Consumer(note.consumer)
            self._consumers[note.consumer] = receive(consumer, note)
        elif isinstance(note, _DECISIONS):
            self._set(_decide(self.state, record, note))


_TURNS: Final = (CheckpointSaved, TrainingStarted, TrainingCompleted, TrainingFailed)
_DECISIONS: Final = (
    SubmitRequested,
    Attached,
    Submitted,
    SubmitRefused,
    Resumed,
    StepCompleted,
    CancelRequested,
    Reconciled,
)


def _turn(state: RunState, record: Record, event: Event) -> RunState:
    match event:
        case CheckpointSaved(step):
            return replace(state, checkpoints=(*state.checkpoints, step)[-MOST_CHECKPOINTS:])
        case TrainingStarted(timestamp):
            return _status(state, "running", startedAt=timestamp or record.recorded_at)
        case TrainingCompleted(timestamp, artifacts):
            state = replace(state, artifacts=artifacts, terminal_seq=record.seq)
            return _status(state, "completed", completedAt=timestamp or record.recorded_at)
        case TrainingFailed(timestamp, error):
            state = replace(state, artifacts=(), terminal_seq=record.seq)
            at = timestamp or record.recorded_at
            return _status(state, "failed", completedAt=at, error=error)
        case _:
            return state


def _measure(latest: dict[str, float], log: TrainingLog) -> None:
    figures = (
        ("step", log.step),
        ("loss", log.loss),
        ("eval_loss", log.eval_loss),
        ("learning_rate", log.learning_rate),
        ("epoch", log.epoch),
        ("samples_per_second", log.samples_per_second),
    )
    for name, value in figures:
        if value is not None and isfinite(value):
            latest[name] = value


def _status(state: RunState, status: str, **changes: str) -> RunState:
    job = state.job
    if job is not None:
        job = parse_job({**job.to_wire(), "status": status, **changes})
    return replace(state, status=status, job=job)


def _decide(state: RunState, record: Record, note: Note) -> RunState:
    match note:
        case SubmitRequested():
            state = replace(state, name=note.name, config=note.config, wish=note)
            return _owned(state, note.consumers, note.provenance)
        case Attached():
            state = _accepted(replace(state, wish=note), note.job)
            state = replace(state, config=state.job.config if state.job else {})
            return _owned(state, note.consumers, note.provenance)
        case Submitted(job):
            return _accepted(state, job)
        case SubmitRefused():
            return replace(state, status="refused", named=(), terminal_seq=record.seq)
        case Resumed():
            # A consumer that is new to the run had no call under way.
            state = state if note.clean else _doubt(state)
            code = state.provenance if note.without_code else note.provenance
            return _owned(state, note.consumers, code)
        case StepCompleted():
            return replace(state, has_steps=True)
        case CancelRequested():
            return replace(state, cancel_requested=True)
        case Reconciled(job):
            return state if state.terminal else _ended(_accepted(state, job), record)
        case _:
            return state


def _owned(state: RunState, consumers: Iterable[str], provenance: Mapping[str, Any]) -> RunState:
    return replace(state, named=tuple(consumers), provenance=provenance)


def _accepted(state: RunState, value: Mapping[str, Any]) -> RunState:
    try:
        job = parse_job(value)
    except ProtocolError:
        # The client reads a job before it is noted. A log that somebody altered is for `verify`
        # to report; its fold stays total.
        return state
    return replace(state, name=job.name, job=job, status=job.status)


def _ended(state: RunState, record: Record) -> RunState:
    job = state.job
    if job is None or not job.terminal:
        return state
    artifacts = job.extra.get("artifacts")
    ended = tuple(artifacts) if isinstance(artifacts, list) else ()
    return replace(state, artifacts=ended, terminal_seq=record.seq)


def _doubt(state: RunState) -> RunState:
    names = {*state.consumers, *state.named}
    consumers = {name: replace(state.consumer(name), doubtful=True) for name in names}
    return replace(state, consumers=MappingProxyType(consumers))


def receive(consumer: Consumer, note: CallbackCompleted | CallbackFailed) -> Consumer:
    """How far `consumer` has come with one more call finished, or raised."""
    match note:
        case CallbackFailed(interrupted=True):
            return replace(consumer, doubtful=True)
        case CallbackFailed(attempt=attempt):
            # An attempt counts from 1, and one that was perhaps under way counts as well.
            return replace(consumer, failures=attempt, doubtful=False)
        case CallbackCompleted(done=True):
            return Consumer(consumer.name, cursor=max(consumer.cursor, note.record))
        case _:
            return Consumer(consumer.name, consumer.cursor, (note.record, note.callback or ""))
