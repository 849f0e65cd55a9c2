"""What a log adds up to: the one place where a run's state changes.

`fold` is pure and total: no I/O, no clock, no randomness, and no record that it refuses. So the
same log gives the same state anywhere, and everything else that knows something about a run is
an index of this.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import takewhile
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

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
from arkor.core.wire import Job, parse_job
from arkor.errors import JournalError, ProtocolError

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "INITIAL",
    "Consumer",
    "RunOwner",
    "RunState",
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


@dataclass(frozen=True, slots=True)
class Consumer:
    """How far one named callback set has come.

    `cursor` is the last record it has finished. `partial` is a record behind it of which a call
    is finished and another is owed. `failures` counts how often the call that is owed next has
    raised; `doubtful` says that it may have been under way when its process ended.
    """

    name: str
    cursor: int = 0
    partial: tuple[int, str] | None = None
    failures: int = 0
    doubtful: bool = False

    @property
    def attempt(self) -> int:
        """Which try the next call of this consumer is, from 1."""
        return 1 + self.failures + self.doubtful


@dataclass(frozen=True, slots=True)
class RunOwner:
    """The process that has a run: at work on it, keeping it idle, or dead or stalled (orphan)."""

    host: str
    pid: int
    state: Literal["active", "idle", "orphan"]


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything a log says about its run, up to its last record.

    `status` is `submitting` until the backend has accepted the run (or `refused` if it would
    not), then the job's own.
    `records` is the last record's seq. `latest` holds the newest figure of each metric,
    `counts` how many events of each type came, `checkpoints` the last steps saved, 1000 at most.
    `last_event_id` is where the stream goes on, `last_id_seq` the record that carries it, and
    `highest_id` the greatest id that is a number.

    `owner` is no part of the log, and makes no two states differ: the journal knows who has the
    run at the moment, and nobody does once it is settled. Nor does `log`, which reads the records
    again, for series that no state keeps.
    """

    run_id: str = ""
    name: str = ""
    status: str = "submitting"
    job: Job | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Any, ...] = ()
    records: int = 0
    head: bytes = b""
    last_event_id: str | None = None
    last_id_seq: int = 0
    highest_id: int | None = None
    consumers: Mapping[str, Consumer] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    checkpoints: tuple[int, ...] = ()
    latest: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    terminal_seq: int | None = None
    cancel_requested: bool = False
    has_steps: bool = False
    wish: SubmitRequested | Attached | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    owner: RunOwner | None = field(default=None, compare=False)
    log: Callable[[], Iterable[Record]] | None = field(default=None, compare=False, repr=False)

    @property
    def job_id(self) -> str | None:
        """The backend's id of the run, once it has accepted it."""
        return self.job.id if self.job else None

    @property
    def address(self) -> str | None:
        """The backend the run is at, as it was asked for: a URL, or `local`."""
        return self.wish.base_url if self.wish else None

    @property
    def terminal(self) -> bool:
        """Whether the run has ended, whatever its callbacks still owe."""
        return self.terminal_seq is not None

    @property
    def settled(self) -> bool:
        """Whether the run has ended and every consumer of its last owner has finished it."""
        return self.terminal_seq is not None and all(
            self.consumer(name).cursor >= self.terminal_seq for name in self.named
        )

    def consumer(self, name: str) -> Consumer:
        """The consumer of that name; one that has finished nothing if it is new."""
        return self.consumers.get(name) or Consumer(name)

    def to_arrow(self) -> "pyarrow.Table":
        """The metrics as a table, a row for each `training.log` up to this state's last record.

        `seq` (the record's), `recorded_at` (UTC), `step`, `epoch`, `loss`, `eval_loss`,
        `learning_rate` and `samples_per_second`; null where a figure was not reported. Raises
        `ConfigError` without the extra `export`, `JournalError` if the log cannot be read.
        """
        if self.log is None:
            raise JournalError(
                "this state knows no log to read its metrics from; take it from `Journal.run`"
            )
        from arkor.core.frames import metric_table
        from arkor.core.metrics import metric_rows

        records = takewhile(lambda record: record.seq <= self.records, self.log())
        return metric_table(metric_rows(records, self.job_id))

    def to_pandas(self) -> "pandas.DataFrame":
        """The table of `to_arrow` as a data frame. Raises what that does."""
        from arkor.core.extras import import_extra

        import_extra("pandas", extra="export")
        return self.to_arrow().to_pandas()


INITIAL: Final = RunState()


def number_of(id: str) -> int | None:
    """An event id as a number, if it is one that a backend counts by."""
    return int(id) if id.isascii() and id.isdigit() and len(id) <= LONGEST_NUMBER else None


def fold_all(records: Iterable[Record], state: RunState = INITIAL) -> RunState:
    """The state after all of `records`, which follow `state`'s last one."""
    return reduce(fold, records, state)


def fold(state: RunState, record: Record) -> RunState:
    """The state after one more record."""
    # A state has many fields, and copying it is what folding costs: one copy for most records.
    changes: dict[str, Any] = {
        "run_id": record.run_id,
        "records": record.seq,
        "head": record.digest,
    }
    if record.sse_id is not None:
        changes |= _identity(state, record, record.sse_id)
    if record.source == "stream":
        return _observe(state, record, changes)
    state = replace(state, **changes)
    note = read_note(record)
    return state if note is None else _note(state, record, note)


def _identity(state: RunState, record: Record, id: str) -> dict[str, Any]:
    number = number_of(id)
    return {
        # An empty id asks for no place to go on from (WHATWG HTML, 9.2.6).
        "last_event_id": id or None,
        "last_id_seq": record.seq,
        "highest_id": state.highest_id
        if number is None
        else max(number, state.highest_id or number),
    }


def _observe(state: RunState, record: Record, changes: dict[str, Any]) -> RunState:
    changes["counts"] = _counted(state.counts, record.type)
    if state.terminal:
        return replace(state, **changes)
    event = decode(record.type, record.data, state.job_id)
    if isinstance(event, TrainingLog):
        return replace(state, **changes, latest=_newest(state.latest, event))
    return _apply(replace(state, **changes), record, event)


def _counted(counts: Mapping[str, int], type: str) -> Mapping[str, int]:
    kind = type if type in counts or len(counts) < MOST_TYPES else OTHER_TYPES
    return {**counts, kind: counts.get(kind, 0) + 1}


def _apply(state: RunState, record: Record, event: Event) -> RunState:
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


def _newest(latest: Mapping[str, float], log: TrainingLog) -> Mapping[str, float]:
    figures = {
        "step": log.step,
        "loss": log.loss,
        "eval_loss": log.eval_loss,
        "learning_rate": log.learning_rate,
        "epoch": log.epoch,
        "samples_per_second": log.samples_per_second,
    }
    finite = {
        name: value for name, value in figures.items() if value is not None and isfinite(value)
    }
    return {**latest, **finite}


def _status(state: RunState, status: str, **changes: str) -> RunState:
    job = state.job
    if job is not None:
        job = parse_job({**job.to_wire(), "status": status, **changes})
    return replace(state, status=status, job=job)


def _note(state: RunState, record: Record, note: Note) -> RunState:
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
        case CallbackCompleted() | CallbackFailed():
            return _receipt(state, note)
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


def _receipt(state: RunState, note: CallbackCompleted | CallbackFailed) -> RunState:
    after = receive(state.consumer(note.consumer), note)
    return replace(state, consumers=MappingProxyType({**state.consumers, note.consumer: after}))


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
