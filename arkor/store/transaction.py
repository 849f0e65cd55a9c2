"""What a write transaction can do to the journal: runs, records, leases."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Final

from sqlalchemy import Connection, Dialect, bindparam, func, insert, select, update

from arkor.core.record import GENESIS, Entry, Record, chain
from arkor.errors import JournalError
from arkor.store.lease import LEASE_SECONDS, Adopt, Lease, Owner
from arkor.store.moment import microseconds, rfc3339
from arkor.store.query import read_lease
from arkor.store.runs import COLUMNS, NewRun, RunRow, run_row
from arkor.store.schema import kinds, leases, records, runs

__all__ = ["Appended", "Kinds", "Transaction"]

Kinds = dict[tuple[str, str], int]
"""The numbers of the kinds of records: of a source and a type."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A run that was made: its first records, and the epoch of its first ownership."""

    run_id: str
    records: list[Record]
    epoch: int


@dataclass(frozen=True, slots=True)
class _Head:
    run: int
    epoch: int | None
    seq: int
    digest: bytes


_all = records.alias("each")
_last = (
    select(func.max(_all.c.seq)).where(_all.c.run == runs.c.id).correlate(runs).scalar_subquery()
)
_HEAD: Final = (
    select(runs.c.id, leases.c.epoch, records.c.seq, records.c.digest)
    .select_from(runs)
    .outerjoin(leases, leases.c.run == runs.c.id)
    .outerjoin(records, (records.c.run == runs.c.id) & (records.c.seq == _last))
    .where(runs.c.run_id == bindparam("run_id"))
)


@cache
def _driver_sql(dialect: Dialect) -> tuple[str, str]:
    # The two statements of every append skip SQLAlchemy's work per execution, which costs more
    # than SQLite's own.
    return str(_HEAD.compile(dialect=dialect)), str(insert(records).compile(dialect=dialect))


class Transaction:
    """One atomic change of the journal. Its records carry the same `recorded_at`.

    `at` is the same moment in Unix seconds, by which leases are judged.
    """

    def __init__(self, connection: Connection, at: float, known: Kinds) -> None:
        self.connection = connection
        self.at = at
        self.recorded_at = rfc3339(int(at * 1e6))
        self.added: Kinds = {}
        self._known = known
        self.size = 0
        self._head_sql, self._insert_sql = _driver_sql(connection.dialect)
        self._cursor = connection.connection.cursor()

    def append(
        self,
        run_id: str,
        entries: Sequence[Entry],
        *,
        epoch: int | None,
        index: Mapping[str, object] | None = None,
    ) -> list[Record]:
        """Append `entries` to the run's log, in order, and bring its row in `runs` up to date.

        `epoch` is that of the appending owner; `None` is for a note by somebody else. `index`
        names the row's columns that changed. Raises `RunOwnedError` if the run was taken over.
        """
        head = self._head(run_id)
        if epoch is not None and epoch != head.epoch:
            raise self._must_lease(run_id).fenced(epoch)
        appended = chain(
            run_id,
            [_storable(entry) for entry in entries],
            after=head.seq,
            prev_digest=head.digest,
            recorded_at=self.recorded_at,
        )
        self._insert(head.run, appended)
        if index:
            self._update_index(head.run, index)
        return appended

    def restore(self, run_id: str, records: Sequence[Record]) -> None:
        """Append records that have their places, times and digests already, as they are."""
        head = self._head(run_id)
        assert records[0].seq == head.seq + 1, "restored records follow the log's last one"
        self._insert(head.run, records)

    def create_run(self, row: NewRun, entries: Sequence[Entry], owner: Owner) -> Appended:
        """Make a run with its first records, owned by `owner`."""
        made = self.connection.execute(
            insert(runs).values(**asdict(row), created_at=self.recorded_at, settled=False)
        )
        (run,) = made.inserted_primary_key or (0,)
        self.connection.execute(insert(leases).values(run=run, **self._tenure(owner, epoch=1)))
        return Appended(row.run_id, self.append(row.run_id, entries, epoch=1), 1)

    def find_runs(self, **equal: object) -> list[RunRow]:
        """The runs whose named columns have these values, oldest first."""
        query = COLUMNS.where(*(runs.c[name] == value for name, value in equal.items()))
        return [run_row(row) for row in self.connection.execute(query.order_by(runs.c.id))]

    def lease(self, run_id: str) -> Lease | None:
        """The run's lease, whatever its state; `None` if there is no such run."""
        return read_lease(self.connection, run_id)

    def take_lease(self, run_id: str, owner: Owner, *, adopt: Adopt) -> int:
        """Make `owner` the run's owner and give the new epoch.

        Raises `RunOwnedError` unless the run is released, its owner is gone, or, with `adopt`
        "idle", its owner left it idle.
        """
        held = self._must_lease(run_id)
        if not held.free(owner, self.at, adopt=adopt):
            raise held.refusal()
        epoch = held.epoch + 1
        self._update_lease(run_id, **self._tenure(owner, epoch=epoch))
        return epoch

    def renew(self, run_id: str, epoch: int) -> None:
        """Keep the lease for another while. Raises `RunOwnedError` if it was taken over."""
        self._keep(run_id, epoch, expires_at=self.at + LEASE_SECONDS)

    def set_idle(self, run_id: str, epoch: int) -> None:
        """Keep the run, but let go of it on request. Raises `RunOwnedError` as `renew` does."""
        self._keep(run_id, epoch, state="idle", expires_at=self.at + LEASE_SECONDS)

    def set_active(self, run_id: str, epoch: int) -> None:
        """Work on an idle run again. Raises `RunOwnedError` as `renew` does."""
        self._keep(run_id, epoch, state="active", expires_at=self.at + LEASE_SECONDS)

    def release(self, run_id: str, epoch: int) -> None:
        """Give the run up for good. Raises `RunOwnedError` as `renew` does."""
        self._keep(run_id, epoch, state="released")

    def _head(self, run_id: str) -> _Head:
        self._cursor.execute(self._head_sql, (run_id,))
        rows = self._cursor.fetchall()  # to the end: an open query keeps checkpoints waiting
        if not rows:
            raise JournalError(f"the journal has no run {run_id}; `arkor runs` lists them")
        run, epoch, seq, digest = rows[0]
        return _Head(run, epoch, seq or 0, digest or GENESIS)

    def _insert(self, run: int, appended: Sequence[Record]) -> None:
        if not appended:
            return
        rows = [
            (run, seq, self._kind(source, kind), sse_id, data, microseconds(at), digest)
            for _, seq, source, kind, sse_id, data, at, _, digest in appended
        ]
        self._cursor.executemany(self._insert_sql, rows)
        self.size += sum([len(row[4]) + 150 for row in rows])

    def _kind(self, source: str, type: str) -> int:
        key = (source, type)
        number = self._known.get(key) or self.added.get(key)
        if number is None:
            number = self.added[key] = self._read_kind(*key) or self._add_kind(*key)
        return number

    def _read_kind(self, source: str, type: str) -> int | None:
        query = select(kinds.c.id).where(kinds.c.source == source, kinds.c.type == type)
        return self.connection.execute(query).scalar()

    def _add_kind(self, source: str, type: str) -> int:
        made = self.connection.execute(insert(kinds).values(source=source, type=type))
        (number,) = made.inserted_primary_key or (0,)
        return int(number)

    def _update_index(self, run: int, index: Mapping[str, object]) -> None:
        columns = [runs.c[name] for name in index]
        stored = self.connection.execute(select(*columns).where(runs.c.id == run)).one()
        # Most appends change nothing here, and a page that is not written need not be synced.
        if tuple(stored) != tuple(index.values()):
            self.connection.execute(update(runs).where(runs.c.id == run).values(**index))

    def _must_lease(self, run_id: str) -> Lease:
        found = self.lease(run_id)
        if found is None:
            raise JournalError(f"the journal has no run {run_id}; `arkor runs` lists them")
        return found

    def _tenure(self, owner: Owner, *, epoch: int) -> dict[str, object]:
        return {
            **asdict(owner),
            "epoch": epoch,
            "state": "active",
            "acquired_at": self.at,
            "expires_at": self.at + LEASE_SECONDS,
        }

    def _keep(self, run_id: str, epoch: int, **values: object) -> None:
        held = self._must_lease(run_id)
        if held.epoch != epoch:
            raise held.fenced(epoch)
        self._update_lease(run_id, **values)

    def _update_lease(self, run_id: str, **values: object) -> None:
        run = select(runs.c.id).where(runs.c.run_id == run_id).scalar_subquery()
        self.connection.execute(update(leases).where(leases.c.run == run).values(**values))


def _storable(entry: Entry) -> Entry:
    # JSON's escapes can smuggle a lone surrogate into a type, and no database stores one. It
    # becomes U+FFFD, as invalid UTF-8 does on the wire.
    own_id = entry.sse_id or ""
    if all([_encodes(entry.data), _encodes(entry.type), _encodes(own_id)]):
        return entry
    sse_id = None if entry.sse_id is None else _replaced(entry.sse_id)
    return Entry(entry.source, _replaced(entry.type), _replaced(entry.data), sse_id)


def _encodes(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _replaced(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
