"""What of a connection's frames is new, and the entries that record it.

A backend may repeat itself after a reconnect, skip, contradict itself, or send events without
ids. Each event enters the log exactly once; what is odd about it is noted beside it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from arkor.client.sse import Frame, Oversize
from arkor.core.events import Malformed, TrainingCompleted, TrainingFailed, decode, type_of
from arkor.core.fold import RunState, number_of
from arkor.core.notes import StreamConflict, StreamGap, StreamOversize, entry_of
from arkor.core.record import Entry, Record
from arkor.core.redact import redact
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

    `unnamed` are the events without an id that the log holds after the last id: after a
    reconnect the backend sends them again, in their place and with their bytes.
    """

    journal: Journal
    run_id: str
    job_id: str
    secrets: frozenset[str]
    salt: bytes
    last_id: str | None
    highest: int | None
    unnamed: Iterator[Record]
    pings: int = 0
    events: int = 0
    repeated: int = 0
    malformed: int = 0
    _seen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def after(
        cls, state: RunState, journal: Journal, secrets: frozenset[str], salt: bytes
    ) -> "Intake":
        """The memory of a run whose log folds to `state`."""
        later = journal.records(state.run_id, after=state.last_id_seq)
        unnamed = (record for record in later if _is_unnamed(record))
        return cls(
            journal=journal,
            run_id=state.run_id,
            job_id=state.job_id or "",
            secrets=secrets,
            salt=salt,
            last_id=state.last_event_id,
            highest=state.highest_id,
            unnamed=unnamed,
        )

    def take(self, frames: Iterable[Frame | Oversize]) -> Taken:
        """Sort out one batch. Frames behind the one that ends the run are not looked at."""
        taken = Taken()
        self._seen.clear()
        for frame in frames:
            if isinstance(frame, Oversize):
                self._oversize(frame, taken)
            elif frame.event == "ping":
                self.pings += 1
            else:
                self._frame(frame, taken)
            if taken.terminal or taken.ended:
                break
        return taken

    def _frame(self, frame: Frame, taken: Taken) -> None:
        data = redact(frame.data, self.secrets, self.salt)
        if frame.event == "end":
            taken.ended = True
            taken.entries.append(Entry("stream", "end", data, frame.id))
            return
        entry = Entry("stream", type_of(frame.event, data), data, frame.id)
        conflict = self._conflict(entry) if entry.sse_id else self._unnamed(entry)
        if conflict is entry:
            self.repeated += 1
            return
        self._gap(entry, taken)
        taken.entries.append(entry)
        if isinstance(conflict, StreamConflict):
            taken.entries.append(entry_of(conflict))
        self._count(entry, taken)

    def _conflict(self, entry: Entry) -> Entry | StreamConflict | None:
        """`entry` itself if the log holds it; a note if the log holds its id for another."""
        sse_id = entry.sse_id or ""
        self.unnamed = iter(())
        number = number_of(sse_id)
        if number is not None and (self.highest is None or number > self.highest):
            return None
        if (earlier := self._seen.get(sse_id)) is not None:
            return entry if earlier == entry.data else StreamConflict(sse_id)
        found = self.journal.find_sse(self.run_id, sse_id)
        if found is None:
            return None
        return entry if found.data == entry.data else StreamConflict(sse_id, found.seq)

    def _unnamed(self, entry: Entry) -> Entry | None:
        if entry.sse_id is None:
            expected = next(self.unnamed, None)
            if expected and (expected.type, expected.data) == (entry.type, entry.data):
                return entry
        self.unnamed = iter(())
        return None

    def _gap(self, entry: Entry, taken: Taken) -> None:
        if entry.sse_id is None:
            return
        number, last = number_of(entry.sse_id), number_of(self.last_id or "")
        if number is not None and last is not None and number > last + 1:
            gap = StreamGap(str(self.last_id), entry.sse_id)
            taken.entries.append(entry_of(gap))
        self.last_id = entry.sse_id
        if number is not None:
            self.highest = max(number, self.highest or number)
        self._seen[entry.sse_id] = entry.data

    def _count(self, entry: Entry, taken: Taken) -> None:
        event = decode(entry.type, entry.data, self.job_id)
        if isinstance(event, Malformed):
            self.malformed += 1
            return
        self.events += 1
        taken.progress = True
        taken.terminal = isinstance(event, TrainingCompleted | TrainingFailed)

    def _oversize(self, frame: Oversize, taken: Taken) -> None:
        note = StreamOversize(frame.event, frame.length, frame.digest)
        entry = entry_of(note, sse_id=frame.id)
        if frame.id and self.journal.find_sse(self.run_id, frame.id):
            self.repeated += 1
            return
        self._gap(entry, taken)
        taken.entries.append(entry)


def _is_unnamed(record: Record) -> bool:
    return record.source == "stream" and record.sse_id is None and record.type != "end"
