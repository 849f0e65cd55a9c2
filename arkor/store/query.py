"""Reading the log on a given connection: its records, its lease."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from arkor.core.record import GENESIS, Record
from arkor.errors import JournalCorruptError
from arkor.store.lease import Lease
from arkor.store.moment import rfc3339
from arkor.store.owner import Owner
from arkor.store.schema import kinds, leases, meta, records, runs

__all__ = ["read_first", "read_lease", "read_meta", "read_page"]

_RECORD = (
    records.c.seq,
    kinds.c.source,
    kinds.c.type,
    records.c.sse_id,
    records.c.data,
    records.c.recorded_at,
    records.c.digest,
)


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
    query = _of(run_id).where(records.c.sse_id == sse_id).order_by(records.c.seq).limit(1)
    if data is not None:
        query = query.where(records.c.data == data)
    seq = connection.execute(query.with_only_columns(records.c.seq)).scalar()
    return None if seq is None else next(read_page(connection, run_id, seq - 1, 1))


def read_page(connection: Connection, run_id: str, after: int, limit: int) -> Iterator[Record]:
    """At most `limit` records behind record `after`, in order.

    Raises `JournalCorruptError` for a row that no record can have been.
    """
    # The record before comes along, for its digest; the first has none.
    rows = limit + (after > 0)
    query = _of(run_id).where(records.c.seq >= after).order_by(records.c.seq).limit(rows)
    digest = GENESIS
    for row in connection.execute(query):
        if row.seq > after:
            yield _record(run_id, row, digest)
        digest = row.digest


def _of(run_id: str) -> Select[Any]:
    # An outer join: a record whose kind is gone must not vanish with it.
    return (
        select(*_RECORD)
        .select_from(records)
        .join(runs, runs.c.id == records.c.run)
        .outerjoin(kinds, kinds.c.id == records.c.kind)
        .where(runs.c.run_id == run_id)
    )


def _record(run_id: str, row: Sequence[Any], prev_digest: bytes) -> Record:
    seq, source, kind, sse_id, data, recorded_at, digest = row
    try:
        at = rfc3339(recorded_at)
    except (TypeError, OverflowError):
        at = None
    # SQLite stores what it is given, whatever type the column was declared with.
    texts = isinstance(data, str) and isinstance(kind, str) and isinstance(sse_id, str | None)
    if (
        at is None
        or not texts
        or source not in ("stream", "local")
        or not isinstance(digest, bytes)
    ):
        raise JournalCorruptError(
            f"record {seq} of run {run_id} is damaged; `arkor verify {run_id}` says what is whole, "
            "and `arkor store salvage` saves it into a new journal"
        )
    return Record(run_id, seq, source, kind, sse_id, data, at, prev_digest, digest)
