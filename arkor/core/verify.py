"""Whether a run's log is what was recorded: the chain of digests, followed from its beginning."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from arkor.core.anchor import Anchor
from arkor.core.record import GENESIS, canonical, digest_of
from arkor.core.tampering import Break, Fault, Finding, Row, explain
from arkor.errors import ConfigError

__all__ = ["Elsewhere", "Standing", "VerifyReport", "check_heads", "reported", "verify_rows"]

RECENT: Final = 64
"""How many digests are kept of what is behind: as many inserted records are told in number."""

Elsewhere = Callable[[Row], "tuple[str, int] | None"]
"""Which run and seq a row was recorded as, if it was in another run."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What the check of a run's log came to.

    `records` is how many records, from the first one on, follow from each other, and `head` the
    digest of the last of these, in hex: of all there are, if `ok`. Otherwise `problem` says what
    is wrong, `fault` in one word, and `first_bad_seq` where it begins. `anchored_seq` is the
    record at which the given head stands (the newest, if several were given). Of a run that was
    pruned at `pruned_at` there is nothing but the count and the head that were kept of it.
    """

    ok: bool
    run_id: str
    records: int
    head: str
    first_bad_seq: int | None = None
    problem: str | None = None
    fault: Fault | None = None
    anchored_seq: int | None = None
    pruned_at: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a wanted digest stands, and since when, if that is known."""

    seq: int
    recorded_at: str | None = None


@dataclass
class _Walk:
    """How far the chain holds: `seq` records, the last of which has `digest`."""

    run_id: str
    wanted: frozenset[bytes]
    seq: int = 0
    digest: bytes = GENESIS
    suspect: Row | None = None

    def __post_init__(self) -> None:
        self.recent = deque([GENESIS], maxlen=RECENT + 1)
        self.standing: dict[bytes, Standing] = {}

    def follow(self, rows: Iterator[Row]) -> None:
        """Take what follows; the first row that does not is the `suspect`."""
        run_id, wanted, recent = self.run_id, self.wanted, self.recent
        seq, digest = self.seq, self.digest
        for row in rows:
            number, source, kind, sse_id, recorded_at, data, stored = row
            try:
                form = canonical(run_id, number, source, kind, sse_id, recorded_at, data)
            except (AttributeError, TypeError):
                # What the file holds has any type whatever; asking each time would cost more.
                self.suspect = row
                break
            if number != seq + 1 or digest_of(digest, form) != stored:
                self.suspect = row
                break
            seq, digest = number, stored
            recent.append(digest)
            if wanted and digest in wanted:
                self.standing[digest] = Standing(seq, recorded_at)
        self.seq, self.digest = seq, digest


def verify_rows(
    run_id: str,
    rows: Iterable[Row],
    heads: Sequence[Anchor] = (),
    elsewhere: Elsewhere = lambda row: None,
) -> VerifyReport:
    """Check a run's whole log, given in order, in constant memory.

    `heads` are digests that the log had once; a log that has grown since is fine. `elsewhere`
    is asked where a row comes from that has no place in this log. Whatever the rows hold is a
    finding; raises `ConfigError` only for an anchor that contradicts itself.
    """
    walk = _Walk(run_id, frozenset(head.digest for head in heads))
    remaining = iter(rows)
    walk.follow(remaining)
    suspect = walk.suspect
    finding = check_heads(heads, walk.standing, walk.seq, whole=suspect is None)
    if finding is None and suspect is not None:
        broken = Break(run_id, walk.seq + 1, tuple(walk.recent), suspect)
        finding = explain(broken, remaining, elsewhere)
    if finding is None and walk.seq == 0:
        finding = Finding("missing", 1, "the log is empty: not even its first record is there")
    anchored = max((each.seq for each in walk.standing.values()), default=None)
    return reported(run_id, walk.seq, walk.digest, finding, anchored_seq=anchored)


def reported(
    run_id: str,
    records: int,
    head: bytes,
    finding: Finding | None,
    *,
    anchored_seq: int | None = None,
    pruned_at: str | None = None,
) -> VerifyReport:
    """The report of a log that holds up to `records`, with what is wrong, if anything is."""
    return VerifyReport(
        ok=finding is None,
        run_id=run_id,
        records=records,
        head=head.hex(),
        first_bad_seq=None if finding is None else finding.seq,
        problem=None if finding is None else finding.problem,
        fault=None if finding is None else finding.fault,
        anchored_seq=anchored_seq,
        pruned_at=pruned_at,
    )


def check_heads(
    heads: Sequence[Anchor], standing: Mapping[bytes, Standing], records: int, *, whole: bool
) -> Finding | None:
    """The first of `heads` that does not stand in a log of so many records.

    Of a log that is not `whole` only what stands before the break can be asked. Raises
    `ConfigError` for an anchor whose digest is that of another record than it says.
    """
    for head in sorted(heads, key=lambda head: head.seq or records + 1):
        stands = standing.get(head.digest)
        if stands is not None:
            _check_words(head, stands)
        elif head.seq is not None and head.seq <= records:
            return Finding(
                "rewritten",
                head.seq,
                f"record {head.seq} has not the digest that it was anchored with: the log was "
                f"rewritten, at or before record {head.seq}",
            )
        elif whole:
            return _beyond(head, records)
    return None


def _check_words(head: Anchor, stands: Standing) -> None:
    same_time = stands.recorded_at in (None, head.recorded_at)
    if head.seq is not None and not (head.seq == stands.seq and same_time):
        raise ConfigError(
            f"the anchor {head.line()} was changed: its digest is that of record {stands.seq}"
            + (f", recorded at {stands.recorded_at}" if stands.recorded_at else ""),
            field="head",
        )


def _beyond(head: Anchor, records: int) -> Finding:
    first = records + 1
    if head.seq is None:
        what = f"no record has the digest {head.digest.hex()}: the log was cut, or rewritten"
    elif head.seq == first:
        what = f"record {first} was cut off: the log was anchored with it"
    else:
        what = f"records {first} to {head.seq} were cut off: the log was anchored with them"
    return Finding("cut", first, what)
