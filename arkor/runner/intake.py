"""What of a connection's frames is new, and the entries that record it.

A backend may repeat itself after a reconnect, skip, contradict itself, or send events without
ids. Each event enters the log exactly once; what is odd about it is noted beside it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from arkor.client.sse import Frame, Oversize
from arkor.core.events import Malformed, TrainingCompleted, TrainingFailed, decode, read_event
from arkor.core.fold import number_of
from arkor.core.notes import StreamConflict, StreamGap, StreamOversize, entry_of
from arkor.core.record import Entry, Record
from arkor.core.redact import redact
from arkor.core.state import RunState
from arkor.store.journal import Journal

__all__ = ["Intake", "Taken"]


@dataclass(slots=True)
class Taken:
    """What a batch of frames comes to: entries to append, and whether the run ends with them."""

    entries: list[Entry] = field(default_factory=list)
    progress: bool = False
    ended: bool = False
    terminal: bool = False


@dataclass(slots=True)
class Intake:
    """One connection's memory of what the log holds already.

    `known` is how many records the log had before the connection. `unnamed` are those events
    without an id that it holds behind the id that the stream is at: a backend that repeats
    itself sends them again, in their place and with their bytes. `data` says whether any event of
    this run came, new or repeated.
    """

    journal: Journal
    run_id: str
    job_id: str
    secrets: frozenset[str]
    salt: bytes
    known: int
    last_id: str | None
    highest: int | None
    unnamed: Iterator[Record] = field(default_factory=lambda: iter(()))
    pings: int = 0
    events: int = 0
    repeated: int = 0
    malformed: int = 0
    data: bool = False
    _began: bool = False
    _seen: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def after(
        cls, state: RunState, journal: Journal, secrets: frozenset[str], salt: bytes
    ) -> "Intake":
        """The memory of a run whose log folds to `state`."""
        intake = cls(
            journal=journal,
            run_id=state.run_id,
            job_id=state.job_id or "",
            secrets=secrets,
            salt=salt,
            known=state.records,
            last_id=state.last_event_id,
            highest=state.highest_id,
        )
        # Without an id to go on from, a backend begins at the beginning.
        intake.unnamed = intake._unnamed_after(state.last_id_seq if state.last_event_id else 0)
        return intake

    @property
    def arrivals(self) -> int:
        """How many frames came that are not pings."""
        return self.events + self.repeated + self.malformed

    def take(self, frames: Iterable[Frame | Oversize]) -> Taken:
        """Sort out one batch. Frames behind the one that ends the run are not looked at."""
        taken = Taken()
        self._seen.clear()
        for frame in frames:
            if frame.event == "ping" and isinstance(frame, Frame):
                self.pings += 1
                continue
            entry = self._entry(frame)
            taken.ended = frame.event == "end"
            self._take(entry, taken)
            if taken.terminal or taken.ended:
                break
        return taken

    def _entry(self, frame: Frame | Oversize) -> Entry:
        name, sse_id = self._redacted(frame.event), frame.id and self._redacted(frame.id)
        if isinstance(frame, Oversize):
            return entry_of(StreamOversize(name, frame.length, frame.digest), sse_id=sse_id)
        data = self._redacted(frame.data)
        return Entry(
            "stream",
            name if name == "end" else read_event(name, data, self.job_id)[0],
            data,
            sse_id,
        )

    def _take(self, entry: Entry, taken: Taken) -> None:
        conflict = self._conflict(entry, entry.sse_id) if entry.sse_id else self._unnamed(entry)
        if conflict is entry:
            self.repeated += 1
            self.data = self.data or self._is_data(entry)
            return
        if entry.sse_id:
            self._gap(entry, entry.sse_id, taken)
        taken.entries.append(entry)
        if isinstance(conflict, StreamConflict):
            taken.entries.append(entry_of(conflict))
        if entry.source == "stream" and not taken.ended:
            self._count(entry, taken)

    def _conflict(self, entry: Entry, sse_id: str) -> Entry | StreamConflict | None:
        """`entry` itself if the log holds it; a note if the log holds its id for another."""
        self.unnamed, self._began = iter(()), True
        number = number_of(sse_id)
        if number is not None and (self.highest is None or number > self.highest):
            return None
        if entry.data in self._seen.get(sse_id, ()):
            return entry
        first = self.journal.find_sse(self.run_id, sse_id)
        if first is None:
            return StreamConflict(sse_id) if sse_id in self._seen else None
        known: Record | None = first
        if first.data != entry.data:
            known = self.journal.find_sse(self.run_id, sse_id, entry.data)
        if known is None:
            return StreamConflict(sse_id, first.seq)
        self.unnamed = self._unnamed_after(known.seq)
        return entry

    def _unnamed(self, entry: Entry) -> Entry | None:
        if entry.type == "end":
            return None
        began, self._began = self._began, True
        if _is_next(self.unnamed, entry):
            return entry
        # A backend that does not heed the id it was asked for begins at the beginning.
        self.unnamed = iter(()) if began else self._unnamed_after(0)
        if _is_next(self.unnamed, entry):
            return entry
        self.unnamed = iter(())
        return None

    def _unnamed_after(self, seq: int) -> Iterator[Record]:
        """The events without an id behind record `seq`, up to the next one that has one."""
        later = self.journal.records(self.run_id, after=seq)
        earlier = takewhile(lambda each: each.seq <= self.known and not each.sse_id, later)
        return (record for record in earlier if _is_event(record))

    def _gap(self, entry: Entry, sse_id: str, taken: Taken) -> None:
        number, last = number_of(sse_id), number_of(self.last_id or "")
        if number is not None:
            highest = self.highest if self.highest is not None else number
            if last is not None and number > highest + 1:
                taken.entries.append(entry_of(StreamGap(str(highest), sse_id)))
            self.highest = max(number, highest)
        self.last_id = sse_id
        self._seen.setdefault(sse_id, []).append(entry.data)

    def _count(self, entry: Entry, taken: Taken) -> None:
        event = decode(entry.type, entry.data, self.job_id)
        if isinstance(event, Malformed):
            self.malformed += 1
            return
        self.events += 1
        self.data = taken.progress = True
        taken.terminal = isinstance(event, TrainingCompleted | TrainingFailed)

    def _is_data(self, entry: Entry) -> bool:
        event = decode(entry.type, entry.data, self.job_id)
        return entry.source == "stream" and not isinstance(event, Malformed)

    def _redacted(self, text: str) -> str:
        return redact(text, self.secrets, self.salt)


def _is_next(expected: Iterator[Record], entry: Entry) -> bool:
    record = next(expected, None)
    return record is not None and (record.type, record.data) == (entry.type, entry.data)


def _is_event(record: Record) -> bool:
    if record.source == "stream":
        return record.type != "end"
    return record.type == StreamOversize.TYPE
