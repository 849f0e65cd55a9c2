"""What was delivered to callbacks: every call counted, the latest kept, each effect named."""

from dataclasses import dataclass, field
from typing import Final

from arkor.core.excerpt import Excerpt
from arkor.core.notes import CallbackCompleted, CallbackFailed, Note, StepCompleted
from arkor.core.record import Record

__all__ = ["Delivered", "Deliveries", "Effect", "Tally"]

LATEST: Final = 200
"""Single deliveries that are kept."""

MOST_TALLIES: Final = 200
"""Callbacks that are counted apart: a log may name more, and must not fill the memory."""

OTHERS: Final = ("(others)", "(others)")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One call: that it finished, after `seconds`, or the `error` it raised.

    `seq` is the receipt's place in the log, `record` that of what the call was for.
    """

    seq: int
    at: str
    consumer: str
    callback: str
    record: int
    attempt: int
    seconds: float | None = None
    error: str | None = None
    interrupted: bool = False


@dataclass(slots=True)
class Tally:
    """All calls of one callback. `repeated` counts those that needed more than one attempt.

    `failures` counts attempts that raised, `interrupted` those that were stopped from outside;
    `seconds` is what the finished calls took together, `longest` the longest of them.
    """

    consumer: str
    callback: str
    calls: int = 0
    repeated: int = 0
    failures: int = 0
    interrupted: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    @property
    def mean(self) -> float | None:
        """Seconds that a finished call took on average."""
        return self.seconds / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class Effect:
    """One memoised step of a call; `error` names what it raised instead of a result."""

    seq: int
    at: str
    consumer: str
    callback: str
    record: int
    kind: str
    key: str
    arguments: str
    error: str | None = None


@dataclass(slots=True)
class Deliveries:
    """The receipts of a log, in constant memory."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    calls: Excerpt[Delivered] = field(default_factory=lambda: Excerpt(0, LATEST))
    failures: Excerpt[Delivered] = field(default_factory=lambda: Excerpt(20, 80))
    effects: Excerpt[Effect] = field(default_factory=lambda: Excerpt(50, 150))

    @property
    def in_order(self) -> list[Tally]:
        """The tallies by consumer and callback."""
        return [self.tallies[key] for key in sorted(self.tallies)]

    @property
    def finished(self) -> int:
        """Calls that returned."""
        return sum(each.calls for each in self.tallies.values())

    @property
    def repeated(self) -> int:
        """Calls that returned, at their second attempt or later."""
        return sum(each.repeated for each in self.tallies.values())

    @property
    def raised(self) -> int:
        """Attempts that raised."""
        return sum(each.failures for each in self.tallies.values())

    def add(self, record: Record, note: Note) -> None:
        """Take a note of the log, which need not be about a call."""
        match note:
            case CallbackCompleted(callback=str(callback)):
                self._completed(record, note, callback)
            case CallbackFailed():
                self._failed(record, note)
            case StepCompleted():
                self.effects.add(_effect(record, note))

    def _completed(self, record: Record, note: CallbackCompleted, callback: str) -> None:
        tally = self._tally(note.consumer, callback)
        tally.calls += 1
        tally.repeated += note.attempt > 1
        tally.seconds += note.seconds
        tally.longest = max(tally.longest, note.seconds)
        self.calls.add(
            Delivered(
                record.seq,
                record.recorded_at,
                note.consumer,
                callback,
                note.record,
                note.attempt,
                seconds=note.seconds,
            )
        )

    def _failed(self, record: Record, note: CallbackFailed) -> None:
        tally = self._tally(note.consumer, note.callback)
        tally.failures += not note.interrupted
        tally.interrupted += note.interrupted
        call = Delivered(
            record.seq,
            record.recorded_at,
            note.consumer,
            note.callback,
            note.record,
            note.attempt,
            error=note.error,
            interrupted=note.interrupted,
        )
        self.calls.add(call)
        self.failures.add(call)

    def _tally(self, consumer: str, callback: str) -> Tally:
        key = (consumer, callback)
        if key not in self.tallies and len(self.tallies) >= MOST_TALLIES:
            key = OTHERS
        return self.tallies.setdefault(key, Tally(*key))


def _effect(record: Record, note: StepCompleted) -> Effect:
    error = note.error
    said = None if error is None else f"{error.get('type')}: {error.get('message')}"
    return Effect(
        record.seq,
        record.recorded_at,
        note.consumer,
        note.callback,
        note.record,
        note.kind,
        note.key,
        note.arguments,
        said,
    )
