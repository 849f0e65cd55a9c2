"""What was done to a log where its chain breaks, told from what is behind.

A record that was changed, moved or taken away leaves the digests of the others as they were, and
these say what was there. Each guess costs a hash or three for every later record, and no memory.
Whoever also recomputes all later digests leaves no break; only a digest kept elsewhere tells then.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

from arkor.core.record import GENESIS, canonical, digest_of

__all__ = ["Break", "Fault", "Finding", "Row", "explain", "follows", "recorded_as"]

Fault = Literal[
    "changed",
    "missing",
    "inserted",
    "reordered",
    "foreign",
    "cut",
    "rewritten",
    "pruned",
    "unreadable",
]
"""What is wrong in a word: `foreign` is a record of another run, `cut` one that is gone from the
end, `rewritten` a whole chain that is not the anchored one, `pruned` an anchor that cannot be
compared any more, `unreadable` a place where the file itself is damaged."""

Row = tuple[Any, Any, Any, Any, Any, Any, Any]
"""What the file holds as a record: `seq`, `source`, `type`, `sse_id`, `recorded_at`, `data`,
`digest`, of whatever types it holds."""

MOST_RENUMBERED: Final = 1000
"""How many records may have been removed in one place for their number to be told."""

_TEXTS: Final = ("source", "type", "sse_id", "recorded_at", "data")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, from which seq on, in words."""

    fault: Fault
    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Break:
    """The row that does not follow.

    `seq` is what stood to be its number; `recent` are the digests up to that of the record
    before, which is the last of them, and the oldest of all is that of no record (32 zeros).
    """

    run_id: str
    seq: int
    recent: tuple[bytes, ...]
    suspect: Row

    @property
    def digest(self) -> bytes:
        """The digest that the row had to follow from."""
        return self.recent[-1]

    def hash(self, seq: Any, digest: Any, row: Row) -> bytes | None:
        """The digest of `row` as record `seq` behind `digest`; `None` if it cannot be any."""
        return _hash(self.run_id, seq, digest, row)

    def follows(self, row: Row, digest: Any, seq: Any) -> bool:
        """Whether `row` was recorded as record `seq` behind the digest."""
        return follows(self.run_id, seq, digest, row)


def explain(
    broken: Break, rest: Iterator[Row], elsewhere: Callable[[Row], tuple[str, int] | None]
) -> Finding:
    """What was done at a break, with the rows that stand behind it.

    `elsewhere` says as which record of which other run a row was recorded, if of any.
    """
    seq = broken.suspect[0]
    if not isinstance(seq, int) or seq < broken.seq:
        return _misnumbered(broken)
    if seq > broken.seq:
        return _gap(broken, rest)
    return (
        _ill_typed(broken.suspect)
        or _put_before(broken)
        or _by_what_follows(broken, rest)
        or _foreign(broken, elsewhere)
        or _changed(broken)
    )


def follows(run_id: str, seq: Any, digest: Any, row: Row) -> bool:
    """Whether `row` was recorded as record `seq` of that run, behind the one with that digest."""
    expected = _hash(run_id, seq, digest, row)
    return expected is not None and bool(expected == row[6])


def recorded_as(run_id: str, rows: Iterable[Row], suspect: Row, behind: int = 0) -> int | None:
    """The seq as which `suspect` was recorded in that run, if it was among these `rows`.

    `rows` stand behind record `behind`; it may stand there itself, or the row that took its
    place may have kept its digest.
    """
    seq = behind + 1
    expected = _hash(run_id, seq, GENESIS, suspect) if behind == 0 else None
    for row in rows:
        if expected is not None and expected in (row[6], suspect[6]):
            return seq
        seq = row[0] + 1 if isinstance(row[0], int) else 0
        expected = _hash(run_id, seq, row[6], suspect)
    return seq if expected is not None and expected == suspect[6] else None


def _hash(run_id: str, seq: Any, digest: Any, row: Row) -> bytes | None:
    try:
        return digest_of(digest, canonical(run_id, seq, *row[1:6]))
    except (AttributeError, TypeError):
        return None


def _misnumbered(broken: Break) -> Finding:
    seq = broken.suspect[0]
    if not isinstance(seq, int):
        return Finding(
            "inserted", broken.seq, f"a row whose number is {seq!r:.40} stands behind the log"
        )
    what = "two rows are" if seq > 0 else "records are numbered from 1, and a row is"
    return Finding("inserted", seq, f"{what} record {seq}")


def _gap(broken: Break, rest: Iterator[Row]) -> Finding:
    first, last = broken.seq, broken.suspect[0] - 1
    for row in chain((broken.suspect,), rest):
        if broken.follows(row, broken.digest, first):
            return Finding("reordered", first, f"record {first} was moved: it stands at {row[0]}")
    if first == last:
        return Finding("missing", first, f"record {first} is missing")
    count = last - first + 1
    return Finding("missing", first, f"records {first} to {last} are missing ({count} of them)")


def _ill_typed(row: Row) -> Finding | None:
    seq = row[0]
    for name, value in zip(_TEXTS, row[1:6], strict=True):
        if not isinstance(value, str) and not (name == "sse_id" and value is None):
            what = f"record {seq} was changed: its {name} is {_noun(value)}, and no text"
            return Finding("changed", seq, what)
    if not isinstance(row[6], bytes) or len(row[6]) != len(GENESIS):
        return Finding("changed", seq, f"record {seq} was changed: its digest is none")
    return None


def _noun(value: object) -> str:
    return {type(None): "missing", bytes: "binary", int: "a number", float: "a number"}.get(
        type(value), type(value).__name__
    )


def _put_before(broken: Break) -> Finding | None:
    # Records put in with digests that fit hold; the true one that they pushed back does not.
    seq, recent, suspect = broken.seq, broken.recent, broken.suspect
    for back in range(1, len(recent)):
        if broken.follows(suspect, recent[-1 - back], seq - back):
            if suspect[6] == recent[-back]:
                what = f"record {seq} was put in: it is record {seq - back} once more"
                return Finding("inserted", seq, what)
            return _inserted(seq - back, back)
    return None


def _inserted(seq: int, count: int) -> Finding:
    what = f"record {seq} was" if count == 1 else f"records {seq} to {seq + count - 1} were"
    return Finding("inserted", seq, f"{what} put in, and what is behind renumbered")


def _by_what_follows(broken: Break, rest: Iterator[Row]) -> Finding | None:
    seq, suspect = broken.seq, broken.suspect
    following = next(rest, None)
    if following is None:
        return None
    if following[0] == seq + 1:
        if broken.follows(following, suspect[6], seq + 1):
            return _exchanged(broken, chain((following,), rest))
        own = broken.hash(seq, broken.digest, suspect)
        if broken.follows(following, own, seq + 1):
            what = f"the digest of record {seq} was changed; what it covers was not"
            return Finding("changed", seq, what)
    return _moved(broken, chain((following,), rest)) or _renumbered(broken, following)


def _exchanged(broken: Break, rest: Iterable[Row]) -> Finding | None:
    """The digest is the record's own: its content may stand in another row."""
    seq = broken.seq
    for row in rest:
        if broken.hash(seq, broken.digest, row) == broken.suspect[6]:
            return _reordered(seq, f"its content stands at {row[0]}")
    return None


def _moved(broken: Break, rest: Iterable[Row]) -> Finding | None:
    """The record itself may stand further down, and the suspect be one from there."""
    seq, suspect = broken.seq, broken.suspect
    found: Row | None = None
    behind: Row | None = None
    for row in rest:
        true = broken.hash(seq, broken.digest, row)
        if true is not None and true == suspect[6]:
            return _reordered(seq, f"its content stands at {row[0]}")
        if found is None and true is not None and true == row[6]:
            found = row
            if broken.follows(suspect, found[6], seq + 1):
                return _reordered(seq, f"it stands at {found[0]}")
        elif found is not None and behind is None:
            behind = row
        for number in _numbers_behind(row):
            if broken.follows(suspect, row[6], number):
                return _reordered(seq, f"record {number} stands there")
    if found is None:
        return None
    if behind is None or broken.follows(behind, found[6], seq + 1):
        return _inserted(seq, found[0] - seq)
    return _reordered(seq, f"it stands at {found[0]}")


def _numbers_behind(row: Row) -> tuple[int, ...]:
    # Behind a row that was moved up by one, the next number is the row's own.
    return (row[0] + 1, row[0]) if isinstance(row[0], int) else ()


def _reordered(seq: int, where: str) -> Finding:
    return Finding("reordered", seq, f"record {seq} is not in its place: {where}")


def _renumbered(broken: Break, following: Row) -> Finding | None:
    """The suspect's predecessor is gone, but what follows the suspect knows its true number."""
    seq, suspect = broken.seq, broken.suspect
    if not isinstance(following[0], int):
        return None
    for count in range(1, MOST_RENUMBERED + 1):
        if broken.follows(following, suspect[6], following[0] + count):
            what = f"record {seq} was" if count == 1 else f"{count} records from {seq} on were"
            return Finding("missing", seq, f"{what} removed, and what is behind renumbered")
    return None


def _foreign(broken: Break, elsewhere: Callable[[Row], tuple[str, int] | None]) -> Finding | None:
    origin = elsewhere(broken.suspect)
    if origin is None:
        return None
    run_id, seq = origin
    what = f"record {broken.seq} is not of this run: it is record {seq} of run {run_id}"
    return Finding("foreign", broken.seq, what)


def _changed(broken: Break) -> Finding:
    seq = broken.seq
    what = f"record {seq} was changed after it was recorded, or put there by something else"
    if seq > 1:
        what = f"{what} (or record {seq - 1} was changed together with its digest)"
    return Finding("changed", seq, what)
