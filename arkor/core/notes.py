"""What this side did or saw: the `arkor.*` records of a log, written and read.

A note is a frozen dataclass with a `TYPE`; `entry_of` writes it as JSON, `read_note` reads it
back. Fields that a newer release added are ignored, and those an older one lacked take their
defaults, so any release reads any log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, ClassVar, Final

from arkor.core.record import Entry, Record

__all__ = [
    "Aborted",
    "Attached",
    "CallbackCompleted",
    "CallbackFailed",
    "CancelRequested",
    "Note",
    "Reconciled",
    "Resumed",
    "StepCompleted",
    "StreamClosed",
    "StreamConflict",
    "StreamGap",
    "StreamOpened",
    "StreamOversize",
    "SubmitRefused",
    "SubmitRequested",
    "Submitted",
    "entry_of",
    "read_note",
]


@dataclass(frozen=True, slots=True)
class SubmitRequested:
    """The wish to submit, durable before the request is sent. `config` is redacted."""

    TYPE: ClassVar = "arkor.submit.requested"

    name: str
    config: Mapping[str, Any]
    fingerprint: str
    idempotency_key: str
    base_url: str
    org_slug: str
    project_slug: str
    project_root: str
    consumers: tuple[str, ...] = ()
    run_key: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submitted:
    """The backend accepted the run as `job`; `matched` if it was found by likeness."""

    TYPE: ClassVar = "arkor.submitted"

    job: Mapping[str, Any]
    matched: bool = False


@dataclass(frozen=True, slots=True)
class SubmitRefused:
    """The backend refused the run for good: there is no job, and nothing is owed."""

    TYPE: ClassVar = "arkor.submit.refused"

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A job that something else started was taken over from its first event."""

    TYPE: ClassVar = "arkor.attached"

    job: Mapping[str, Any]
    base_url: str
    org_slug: str
    project_slug: str
    project_root: str
    consumers: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another process, or the same one again, took the run. `clean` if nothing was under way.

    `without_code` if it took the run only to say something about it, as `arkor adopt` does: what
    runs is still what the owner before it recorded.
    """

    TYPE: ClassVar = "arkor.resumed"

    epoch: int
    clean: bool
    consumers: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    without_code: bool = False


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A connection answered; `last_event_id` is what was asked for."""

    TYPE: ClassVar = "arkor.stream.opened"

    last_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """A connection, or the attempt at one, ended for `reason`. Counts are of that connection."""

    TYPE: ClassVar = "arkor.stream.closed"

    reason: str
    events: int = 0
    pings: int = 0
    repeated: int = 0
    malformed: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Numeric ids skipped: nothing came between `after` and `before`."""

    TYPE: ClassVar = "arkor.stream.gap"

    after: str
    before: str


@dataclass(frozen=True, slots=True)
class StreamConflict:
    """The record before this one repeats the id of an earlier one, `first`, with other bytes."""

    TYPE: ClassVar = "arkor.stream.conflict"

    sse_id: str
    first: int | None = None


@dataclass(frozen=True, slots=True)
class StreamOversize:
    """An event too large to keep: what is known of it."""

    TYPE: ClassVar = "arkor.stream.oversize"

    event: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CallbackCompleted:
    """A receipt: `consumer` finished `callback` for `record`.

    `done` if it owes that record no further call; then everything up to `record` is finished.
    `callback` is `None` where a record is finished without a call.
    """

    TYPE: ClassVar = "arkor.callback.completed"

    consumer: str
    record: int
    callback: str | None = None
    attempt: int = 1
    done: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """A callback raised, or was `interrupted`; the same call is owed again. `error` is redacted."""

    TYPE: ClassVar = "arkor.callback.failed"

    consumer: str
    record: int
    callback: str
    attempt: int
    error: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class StepCompleted:
    """A memoised side effect of a call: what it was, and the JSON it came to.

    `arguments` is a digest of what it was given. A step belongs to one call (`consumer`,
    `record`, `callback`); `place` is its number among the steps that the call asked for, from 1,
    since of several at once the first to be asked for need not be the first to be done. `error`
    stands for a result that was not reached, where the callback went on all the same.
    """

    TYPE: ClassVar = "arkor.step.completed"

    consumer: str
    record: int
    callback: str
    kind: str
    key: str
    arguments: str
    result: Any = None
    place: int = 0
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The backend was asked to stop the run."""

    TYPE: ClassVar = "arkor.cancel.requested"

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Aborted:
    """The local wait was given up; the run goes on."""

    TYPE: ClassVar = "arkor.aborted"

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The stream did not tell the end, so the job was fetched and had a terminal status."""

    TYPE: ClassVar = "arkor.reconciled"

    job: Mapping[str, Any]
    cause: str


Note = (
    SubmitRequested
    | Submitted
    | SubmitRefused
    | Attached
    | Resumed
    | StreamOpened
    | StreamClosed
    | StreamGap
    | StreamConflict
    | StreamOversize
    | CallbackCompleted
    | CallbackFailed
    | StepCompleted
    | CancelRequested
    | Aborted
    | Reconciled
)

_NOTES: Final[Mapping[str, Any]] = {note.TYPE: note for note in Note.__args__}
_FIELDS: Final[Mapping[Any, Mapping[str, Any]]] = {
    note: {each.name: each.type for each in fields(note)} for note in _NOTES.values()
}
_KINDS: Final[Mapping[Any, tuple[type, ...]]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    float: (float, int),
    str | None: (str, NoneType),
    int | None: (int, NoneType),
    Mapping[str, Any]: (dict,),
    Mapping[str, Any] | None: (dict, NoneType),
}
"""What JSON makes of a field's type, exactly: `True` is no number."""


def entry_of(note: Note, *, sse_id: str | None = None) -> Entry:
    """The entry that appends `note`."""
    # Not `asdict`, which copies what it finds, all the way down.
    plain = {name: getattr(note, name) for name in _FIELDS[type(note)]}
    data = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    return Entry("local", note.TYPE, data, sse_id)


def read_note(record: Record) -> Note | None:
    """The note in a local record. Never raises.

    `None` for a type this release does not know, and for data that is no note of its type.
    """
    kind = _NOTES.get(record.type) if record.source == "local" else None
    given = _object(record.data) if kind else None
    if kind is None or given is None:
        return None
    try:
        values = {
            name: _read(given[name], expected)
            for name, expected in _FIELDS[kind].items()
            if name in given
        }
        note: Note = kind(**values)
    except TypeError:  # a field is missing, or of another type
        return None
    return note


def _object(data: str) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read(value: Any, expected: Any) -> Any:
    if expected is Any:
        return value
    if expected == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif type(value) in _KINDS[expected]:
        return value
    raise TypeError(f"{type(value).__name__} where {expected} belongs")
