"""Finding records in the whole log of a run, by their text and type, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from arkor.core.record import Record
from arkor.store.query import read_page
from arkor.store.schema import kinds, records, runs

__all__ = ["Found", "search_records"]


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was sought: `total` counts all that there is in the log, pages or not."""

    records: tuple[Record, ...]
    total: int


def search_records(
    connection: Connection,
    run_id: str,
    *,
    text: str = "",
    types: Sequence[str] = (),
    after: int = 0,
    before: int | None = None,
    limit: int = 100,
    newest: bool = False,
) -> Found:
    """The run's records that hold `text`, in any case of ASCII, and are of one of `types`.

    Of those behind record `after` and ahead of record `before` come the first `limit`, or, if
    `newest` is set, the last ones, each time in the log's order. No text and no types match all.
    Raises `JournalCorruptError` for a row that no record can have been.
    """
    wanted = _wanted(run_id, text, types)
    place = [records.c.seq > after, *([records.c.seq < before] if before is not None else [])]
    order = records.c.seq.desc() if newest else records.c.seq
    matching = select(records.c.seq).join(runs, runs.c.id == records.c.run).where(*wanted)
    seqs = connection.execute(matching.where(*place).order_by(order).limit(limit)).scalars()
    found = [record for seq in sorted(seqs) for record in read_page(connection, run_id, seq - 1, 1)]
    total = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
    return Found(tuple(found), total)


def _wanted(run_id: str, text: str, types: Sequence[str]) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [runs.c.run_id == run_id]
    if types:
        wanted.append(records.c.kind.in_(select(kinds.c.id).where(kinds.c.type.in_(types))))
    if text:
        wanted.append(records.c.data.icontains(text, autoescape=True))
    return wanted
