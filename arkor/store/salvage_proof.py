"""Which of the records that a damaged file holds are what was recorded: the chain tells.

A digest covers a record and the digest before it. So a record that fits the one before is as it was
written, wherever it was found; and where a record is lost, the next one's digest is still good for
the one after that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from arkor.core.notes import Note
from arkor.core.record import GENESIS, Record, digest_of, form_of
from arkor.store.moment import rfc3339
from arkor.store.salvage_finds import Find

__all__ = ["Kinds", "Saved", "prove"]

_EVENTS: Final = (
    "training.log",
    "checkpoint.saved",
    "training.started",
    "training.completed",
    "training.failed",
    "end",
)

_STANDARD: Final = (
    *(("stream", event) for event in _EVENTS),
    *(("local", note.TYPE) for note in Note.__args__),
)
"""What a kind may be whose own row is lost."""


@dataclass(slots=True)
class Kinds:
    """What the numbers of kinds stand for: as found, and as the chain has proved since."""

    found: dict[int, list[tuple[str, str]]]
    proved: dict[int, tuple[str, str]] = field(default_factory=dict)

    def readings(self, number: int) -> list[tuple[str, str]]:
        """What the number may stand for, the likeliest first."""
        proved = self.proved.get(number)
        likely = [proved] if proved else self.found.get(number, [])
        return list(dict.fromkeys((*likely, *self.found.get(number, []), *_STANDARD)))

    def known(self, number: int) -> bool:
        """Whether anything says what the number stands for."""
        return number in self.proved or bool(self.found.get(number))


@dataclass(frozen=True, slots=True)
class Saved:
    """A record that is kept. Not `proven`, the record before it is lost, which alone could tell."""

    record: Record
    proven: bool


@dataclass(frozen=True, slots=True)
class _End:
    """A digest that the next record may build on, and what is then to be kept before it."""

    digest: bytes
    kept: Saved | None = None


def prove(run_id: str, groups: Iterable[tuple[int, list[Find]]], kinds: Kinds) -> Iterator[Saved]:
    """The records of the run that can be kept, in order; `groups` are the finds by seq.

    Besides what follows from the record before it, that is the first record behind a gap if the
    next one builds on it, and one whose own digest alone is damaged.
    """
    ends = [_End(GENESIS)]
    last = 0
    for seq, finds in groups:
        if seq != last + 1:
            ends = []
        last = seq
        link = _link(run_id, finds, ends, kinds)
        if link is None:
            ends = list(_possible_ends(run_id, finds, ends, kinds))
            continue
        end, record = link
        if end.kept is not None:
            yield end.kept
        yield Saved(record, proven=True)
        ends = [_End(record.digest)]


def _link(
    run_id: str, finds: list[Find], ends: list[_End], kinds: Kinds
) -> tuple[_End, Record] | None:
    for find in finds if ends else ():
        for kind in kinds.readings(find.kind):
            record = _record(run_id, find, kind)
            if record is None:
                break
            form = form_of(record)
            for end in ends:
                if digest_of(end.digest, form) == find.digest:
                    kinds.proved[find.kind] = kind
                    return end, record._replace(prev_digest=end.digest)
    return None


def _possible_ends(
    run_id: str, finds: list[Find], ends: list[_End], kinds: Kinds
) -> Iterator[_End]:
    """What the next record may build on, where this one fits nothing before it."""
    before = [end.digest for end in ends if end.kept is None]
    for find in finds:
        record = _record(run_id, find, kinds.readings(find.kind)[0])
        lost = record is None or bool(ends) or not kinds.known(find.kind)
        yield _End(find.digest, None if lost or record is None else Saved(record, proven=False))
        if record is not None:
            for digest in before:
                mended = record._replace(
                    prev_digest=digest, digest=digest_of(digest, form_of(record))
                )
                yield _End(mended.digest, Saved(mended, proven=True))


def _record(run_id: str, find: Find, kind: tuple[str, str]) -> Record | None:
    try:
        at = rfc3339(find.recorded_at)
    except OverflowError:
        return None
    source, name = kind
    return Record(
        run_id=run_id,
        seq=find.seq,
        source="local" if source == "local" else "stream",
        type=name,
        sse_id=find.sse_id,
        data=find.data,
        recorded_at=at,
        prev_digest=b"",
        digest=find.digest,
    )
