"""What a run's log tells of its course, gathered in one pass and in constant memory."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from arkor.core.differences import RunFacts
from arkor.core.events import CheckpointSaved, Event, Malformed, TrainingLog, decode
from arkor.core.excerpt import Excerpt
from arkor.core.fold import Folding
from arkor.core.notes import (
    Aborted,
    CallbackCompleted,
    CallbackFailed,
    CancelRequested,
    Note,
    Reconciled,
    Resumed,
    StepCompleted,
    StreamClosed,
    StreamConflict,
    StreamGap,
    StreamOpened,
    StreamOversize,
    SubmitRefused,
    Submitted,
    read_note,
)
from arkor.core.owners import RecordedOwner, owner_of
from arkor.core.record import Record
from arkor.core.series import Series
from arkor.core.state import RunState
from arkor.runner.deliveries import Deliveries
from arkor.runner.pace import moment

__all__ = ["METRICS", "Checkpoint", "Happening", "Timeline", "When", "read_timeline"]

METRICS: Final = ("loss", "eval_loss", "learning_rate", "samples_per_second")
"""The figures of a log event that become curves."""

Kind = Literal[
    "aborted",
    "adopted",
    "cancel asked",
    "conflict",
    "connected",
    "disconnected",
    "gap",
    "malformed",
    "reconciled",
    "refused",
    "taken over",
    "too large",
]

LOSSES: Final = ("gap", "conflict", "too large", "malformed")
"""What says that the record of the backend's events may not be whole."""


RECEIPTS: Final = (CallbackCompleted, CallbackFailed, StepCompleted)
"""The notes about calls, which are as many as the events."""


class When(NamedTuple):
    """Where a figure belongs: the step, and seconds since 1970 by the backend's clock."""

    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that befell the run on this side of the wire, at record `seq`.

    `when` has the step that the run had last reported.
    """

    seq: int
    at: str
    when: When
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that the backend saved, and how many artifacts came with it."""

    seq: int
    at: str
    when: When
    artifacts: int


@dataclass(slots=True)
class Timeline:
    """The course of one run. What may be of any length is thinned out, and counted whole.

    `kinds` counts what happened by its kind, `types` the records by theirs; `missing` counts
    the event ids that were skipped, `repeated` the events that came again and were left out.
    """

    began: str | None = None
    last: str | None = None
    ended: str | None = None
    series: dict[str, Series[When]] = field(default_factory=dict)
    checkpoints: Excerpt[Checkpoint] = field(default_factory=lambda: Excerpt(200, 200))
    owners: Excerpt[RecordedOwner] = field(default_factory=lambda: Excerpt(20, 20))
    happenings: Excerpt[Happening] = field(default_factory=lambda: Excerpt(100, 200))
    losses: Excerpt[Happening] = field(default_factory=lambda: Excerpt(50, 50))
    kinds: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    repeated: int = 0
    deliveries: Deliveries = field(default_factory=Deliveries)
    _step: int = 0
    _job_id: str | None = None
    _folding: Folding = field(default_factory=Folding)

    @property
    def state(self) -> RunState:
        """Everything the log adds up to, as far as it was read."""
        return self._folding.state

    @property
    def seconds(self) -> float:
        """From the first record to the one that ends the run, or to the last one so far."""
        if self.began is None or self.last is None:
            return 0.0
        until = self.ended or self.last
        return (datetime.fromisoformat(until) - datetime.fromisoformat(self.began)).total_seconds()

    @property
    def reconnects(self) -> int:
        """Connections to the event stream after the first."""
        return max(self.kinds["connected"] - 1, 0)

    @property
    def whole(self) -> bool:
        """Whether nothing says that an event was lost, or was kept otherwise than it came."""
        return not any(self.kinds[kind] for kind in LOSSES)

    @property
    def facts(self) -> RunFacts:
        """The run summed up, to be compared with another."""
        summaries = {name: self.series[name].summary() for name in METRICS if name in self.series}
        return RunFacts(
            self.state.run_id,
            self.state.name,
            self.state.status,
            self.seconds,
            self.state.config,
            {name: found for name, found in summaries.items() if found is not None},
            self.checkpoints.total,
        )

    def add(self, record: Record) -> None:
        """Take the next record of the log."""
        self._folding.add(record)
        self.began = self.began or record.recorded_at
        self.last = record.recorded_at
        if record.source == "stream":
            event = decode(record.type, record.data, self._job_id)
            self._event(record, event)
            turns = not isinstance(event, TrainingLog)
        else:
            note = read_note(record)
            turns = note is not None and not isinstance(note, RECEIPTS)
            if note is not None:
                self._note(record, note)
        if turns:
            # Putting a state together has its price, and most records leave these two alone.
            self._job_id = self.state.job_id
            if self.ended is None and self.state.terminal:
                self.ended = record.recorded_at

    def _event(self, record: Record, event: Event) -> None:
        match event:
            case TrainingLog(step):
                self._step = step
                when = When(step, moment(json.loads(record.data), record.recorded_at))
                for name in METRICS:
                    value = getattr(event, name)
                    if value is not None:
                        self._curve(name).add(when, value)
            case CheckpointSaved(step, artifacts):
                when = When(step, moment(json.loads(record.data), record.recorded_at))
                saved = Checkpoint(record.seq, record.recorded_at, when, len(artifacts))
                self.checkpoints.add(saved)
            case Malformed(reason):
                self._happened(record, "malformed", f"an event that is none: {reason}")

    def _curve(self, name: str) -> Series[When]:
        if name not in self.series:
            self.series[name] = Series()
        return self.series[name]

    def _note(self, record: Record, note: Note) -> None:
        self.deliveries.add(record, note)
        if isinstance(note, RECEIPTS):
            return
        if (owner := owner_of(record)) is not None:
            self.owners.add(owner)
        match note:
            case StreamClosed():
                self.repeated += note.repeated
            case StreamGap():
                self.missing += _skipped(note)
        if said := _words(note):
            self._happened(record, *said)

    def _happened(self, record: Record, kind: Kind, what: str) -> None:
        when = When(self._step, datetime.fromisoformat(record.recorded_at).timestamp())
        happening = Happening(record.seq, record.recorded_at, when, kind, what)
        self.kinds[kind] += 1
        self.happenings.add(happening)
        if kind in LOSSES:
            self.losses.add(happening)


def read_timeline(records: Iterable[Record]) -> Timeline:
    """The timeline of a whole log, which is read once."""
    timeline = Timeline()
    for record in records:
        timeline.add(record)
    return timeline


def _words(note: Note) -> tuple[Kind, str] | None:
    """What a note says happened, for those that are about the run as a whole."""
    match note:
        case StreamOpened(None):
            return "connected", "to the event stream, from its beginning"
        case StreamOpened(last_id):
            return "connected", f"to the event stream, behind event {last_id}"
        case StreamClosed():
            return "disconnected", _closing(note)
        case StreamGap(after, before):
            return "gap", f"no event came between the ids {after} and {before}"
        case StreamConflict(sse_id, first):
            earlier = "an earlier record" if first is None else f"record {first}"
            return "conflict", f"the id {sse_id} came again with other content than {earlier} has"
        case StreamOversize(event, length, sha256):
            return "too large", f"{event} of {length:,} bytes was not kept; its SHA-256 is {sha256}"
        case Resumed(epoch, clean):
            under_way = "nothing was under way" if clean else "a call may have been under way"
            return "taken over", f"by {_process(note)}, as owner number {epoch}; {under_way}"
        case _:
            return _wish_or_end(note)


def _wish_or_end(note: Note) -> tuple[Kind, str] | None:
    match note:
        case Submitted(job, matched=True):
            return "adopted", f"job {job.get('id')}, found by its likeness to what was sent"
        case SubmitRefused(status, message):
            return "refused", f"by the backend with status {status}: {message}"
        case CancelRequested(reason):
            return "cancel asked", "the backend was asked to stop the run" + _why(reason)
        case Aborted(reason):
            return "aborted", "the local wait was given up; the run went on" + _why(reason)
        case Reconciled(job, cause):
            return "reconciled", f"the job was asked for its end: {job.get('status')} ({cause})"
        case _:
            return None


def _closing(note: StreamClosed) -> str:
    counts = {
        "events": note.events,
        "pings": note.pings,
        "repeated": note.repeated,
        "malformed": note.malformed,
        "failures in a row": note.failures,
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{note.reason} ({said or 'nothing came'})"


def _process(note: Resumed) -> str:
    facts = note.provenance
    return f"process {facts.get('pid', '?')} on {facts.get('host', 'an unknown host')}"


def _why(reason: str | None) -> str:
    return "" if reason is None else f": {reason}"


def _skipped(note: StreamGap) -> int:
    """How many ids lie between the two; an id that is no number counts as one gap."""
    try:
        return max(int(note.before) - int(note.after) - 1, 1)
    except ValueError:
        return 1
