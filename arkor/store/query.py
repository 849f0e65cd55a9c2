"""Reading the log on a given connection: its records, its lease."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, bindparam, select

from arkor.core.record import GENESIS, Record
from arkor.errors import JournalCorruptError
from arkor.store.lease import Lease
from arkor.store.moment import rfc3339
from arkor.store.owner import Owner
from arkor.store.schema import kinds, leases, meta, records, runs

__all__ = ["MOST_KINDS", "read_first", "read_lease", "read_meta", "read_notes", "read_page"]

MOST_KINDS: Final = 1000
"""Kinds of records that are remembered by a connection: whoever invents more must not fill the memory."""


def read_meta(connection: Connection, key: str) -> str | None:
    """What the journal says about itself: its `redaction_salt`, its `host` on a network disk."""
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def read_lease(connection: Connection, run_id: str) -> Lease | None:
    """The run's lease; `None` if there is no such run."""
    query = select(leases).join(runs, runs.c.id == leases.c.run).where(runs.c.run_id == run_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Lease(
        run_id=run_id,
        epoch=row["epoch"],
        state=row["state"],
        owner=Owner(
            host=row["host"],
            boot_id=row["boot_id"],
            pid_ns=row["pid_ns"],
            pid=row["pid"],
            process_start=row["process_start"],
        ),
        acquired_at=row["acquired_at"],
        expires_at=row["expires_at"],
    )


def read_first(
    connection: Connection, run_id: str, sse_id: str, data: str | None = None
) -> Record | None:
    """The run's first record with that event id, and with that data where it is given."""
    of_run = select(records.c.seq).join(runs, runs.c.id == records.c.run)
    query = of_run.where(runs.c.run_id == run_id, records.c.sse_id == sse_id)
    if data is not None:
        query = query.where(records.c.data == data)
    seq = connection.execute(query.order_by(records.c.seq).limit(1)).scalar()
    return None if seq is None else next(read_page(connection, run_id, seq - 1, 1))


def read_page(connection: Connection, run_id: str, after: int, limit: int) -> Iterator[Record]:
    """At most `limit` records behind record `after`, in order.

    Raises `JournalCorruptError` for a row that no record can have been.
    """
    # The record before comes along, for its digest; the first has none.
    rows = limit + (after > 0)
    cursor = connection.connection.cursor()
    try:
        # Past SQLAlchemy, whose rows cost more than SQLite's.
        cursor.execute(_page_sql(connection.dialect), (run_id, after, rows, 0))
        numbered = _Kinds(connection)
        digest = GENESIS
        for seq, kind, sse_id, data, recorded_at, own in iter(cursor.fetchone, None):
            source, name = numbered.of(kind)
            if not isinstance(seq, int) or seq > after:
                yield _record(run_id, seq, source, name, sse_id, data, recorded_at, digest, own)
            digest = own
    finally:
        cursor.close()


def read_notes(
    connection: Connection, run_id: str, type: str, after: int, limit: int
) -> list[Record]:
    """At most `limit` local records of that type behind record `after`, without `prev_digest`."""
    query = (
        select(
            records.c.seq,
            records.c.sse_id,
            records.c.data,
            records.c.recorded_at,
            records.c.digest,
        )
        .join(runs, runs.c.id == records.c.run)
        .join(kinds, kinds.c.id == records.c.kind)
        .where(runs.c.run_id == run_id, kinds.c.source == "local", kinds.c.type == type)
        .where(records.c.seq > after)
        .order_by(records.c.seq)
        .limit(limit)
    )
    return [
        _record(run_id, seq, "local", type, sse_id, data, recorded_at, b"", digest)
        for seq, sse_id, data, recorded_at, digest in connection.execute(query)
    ]


@cache
def _page_sql(dialect: Dialect) -> str:
    query = (
        select(
            records.c.seq,
            records.c.kind,
            records.c.sse_id,
            records.c.data,
            records.c.recorded_at,
            records.c.digest,
        )
        .join(runs, runs.c.id == records.c.run)
        .where(runs.c.run_id == bindparam("run_id"), records.c.seq >= bindparam("after"))
        .order_by(records.c.seq)
        .limit(bindparam("limit"))
        .offset(bindparam("none"))
    )
    return str(query.compile(dialect=dialect))


class _Kinds:
    """The sources and types that numbers stand for; those of a connection are asked for once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[object, tuple[object, object]] = connection.info.setdefault("kinds", {})

    def of(self, number: object) -> tuple[object, object]:
        """The source and type; a pair of `None` for a number that stands for none."""
        return self._known.get(number) or self._read(number)

    def _read(self, number: object) -> tuple[object, object]:
        query = select(kinds.c.source, kinds.c.type).where(kinds.c.id == number)
        row = self._connection.execute(query).first()
        if row is None:
            return None, None
        if len(self._known) >= MOST_KINDS:
            self._known.clear()
        kind = self._known[number] = (row.source, row.type)
        return kind


def _record(
    run_id: str,
    seq: Any,
    source: Any,
    type: Any,
    sse_id: Any,
    data: Any,
    recorded_at: Any,
    prev_digest: Any,
    digest: Any,
) -> Record:
    try:
        at = rfc3339(recorded_at)
    except (TypeError, OverflowError):
        at = ""
    # SQLite stores what it is given, whatever type the column was declared with.
    texts = isinstance(data, str) and isinstance(type, str) and isinstance(sse_id, str | None)
    whole = at and isinstance(seq, int) and isinstance(digest, bytes)
    if not (texts and whole and source in ("stream", "local")):
        raise JournalCorruptError(
            f"record {seq} of run {run_id} is damaged; `arkor verify {run_id}` says what is whole, "
            "and `arkor store salvage` saves it into a new journal"
        )
    return Record(run_id, seq, source, type, sse_id, data, at, prev_digest, digest)
