"""What a damaged journal's pages still hold, sorted: what may be a record, a run, a kind.

Nothing here is believed. The records of a healthy page and those of one that was cut, flipped or
left over look alike; `store.salvage_proof` tells which of them are what was recorded.
"""

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table

from arkor.store.moment import microseconds
from arkor.store.pages import Row, Value
from arkor.store.schema import kinds, leases, meta, project_states, pruned, records, runs

__all__ = ["Find", "Finds", "collect"]

TABLES: Final = (runs, kinds, leases, pruned, project_states, meta)


@dataclass(frozen=True, slots=True)
class Find:
    """What may be a record. `recorded_at` is in microseconds, `kind` a number of `kinds`."""

    seq: int
    kind: int
    sse_id: str | None
    data: str
    recorded_at: int
    digest: bytes


@dataclass(slots=True)
class Finds:
    """All that was found. `scratch` has what may be records, since these may be millions.

    `rows` has the rows of each other table by its name; `names` the texts that an index has for a
    run's number, among which is its id; `kinds` what a kind's number may stand for; `last_seqs`
    the highest seq of a run that an index knows; `first_kinds` numbers for what schema 0001 wrote out.
    """

    scratch: sqlite3.Connection
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    names: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    last_seqs: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    first_kinds: dict[tuple[str, str], int] = field(default_factory=dict)

    def run_numbers(self) -> list[int]:
        """The numbers of all runs of which there is anything, in order."""
        found = {number for (number,) in self.scratch.execute("SELECT DISTINCT run FROM found")}
        return sorted(found | {row["id"] for row in self.rows["runs"]})

    def of_run(self, number: int) -> Iterator[tuple[int, list[Find]]]:
        """What may be the run's records, by seq."""
        rows = self.scratch.execute(
            "SELECT DISTINCT seq, kind, sse_id, data, recorded_at, digest FROM found"
            " WHERE run = ? ORDER BY seq",
            (number,),
        )
        for seq, group in itertools.groupby(rows, key=lambda row: row[0]):
            yield seq, [Find(*row) for row in group]

    def count(self, number: int) -> int:
        """How many there are."""
        (found,) = self.scratch.execute(
            "SELECT count(*) FROM found WHERE run = ?", (number,)
        ).fetchone()
        return int(found)


def collect(rows: Iterable[Row], scratch: Path) -> Finds:
    """Sort `rows`; the file `scratch` is made for what may be records."""
    connection = sqlite3.connect(scratch, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=OFF").fetchall()
    connection.execute("CREATE TABLE found (run, seq, kind, sse_id, data, recorded_at, digest)")
    finds = Finds(connection)
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?)", _records(rows, finds))
    connection.execute("CREATE INDEX by_run ON found (run, seq)")
    connection.execute("COMMIT")
    return finds


def _records(rows: Iterable[Row], finds: Finds) -> Iterator[tuple[Value, ...]]:
    """The rows that may be records; the others are kept in `finds`."""
    for row in rows:
        if row.rowid is not None:
            _keep(row, finds)
        elif len(row.values) == len(records.columns):
            if _fit(records, row.values) and _is_seq(row.values[1]):
                yield row.values
        elif len(row.values) == len(records.columns) + 1:
            found = _of_first_schema(row.values, finds)
            if found is not None:
                yield found
        else:
            _keep_entry(row.values, finds)


def _of_first_schema(values: tuple[Value, ...], finds: Finds) -> tuple[Value, ...] | None:
    """A record as schema 0001 had it, with its source, type and time as texts, in today's form."""
    match values:
        case (run, seq, str(source), str(type), sse_id, data, str(time), digest) if _is_seq(seq):
            try:
                at = microseconds(time)
            except (ValueError, TypeError, OverflowError):
                return None  # flipped: no time, and so no record, as one of today would not fit
            # Below zero: a file that was migrated may still hold both, each with its own numbers.
            number = finds.first_kinds.setdefault((source, type), -1 - len(finds.first_kinds))
            found = (run, seq, number, sse_id, data, at, digest)
            if _fit(records, found):
                _keep_kind(number, source, type, finds)
                return found
    return None


def _keep(row: Row, finds: Finds) -> None:
    for table in TABLES:
        values = _stored(table, row)
        if values is not None and _fit(table, values):
            found: dict[str, Any] = dict(zip(table.columns.keys(), values, strict=True))
            if table is kinds:
                _keep_kind(found["id"], found["source"], found["type"], finds)
            else:
                finds.rows[table.name].append(found)
            return


def _keep_entry(values: tuple[Value, ...], finds: Finds) -> None:
    """An entry of an index: of `runs` (a text), of `kinds` (two), of `records` by event id."""
    match values:
        case (str(text), int(number)):
            finds.names[number].append(text)
        case (str(source), str(type), int(number)):
            _keep_kind(number, source, type, finds)
        case (int(run), str(_), int(seq)) if _is_seq(seq):
            finds.last_seqs[run] = max(finds.last_seqs[run], seq)


def _keep_kind(number: int, source: str, type: str, finds: Finds) -> None:
    known = finds.kinds[number]
    if source in ("stream", "local") and (source, type) not in known:
        known.append((source, type))


def _stored(table: Table, row: Row) -> tuple[Value, ...] | None:
    """A row's values as SQL has them: the rowid in its column, what was added later as NULL."""
    missing = len(table.columns) - len(row.values)
    values = row.values + (None,) * missing
    if missing < 0:
        return None
    keys = list(table.primary_key.columns)
    if len(keys) == 1 and isinstance(keys[0].type, Integer):
        return None if values[0] is not None else (row.rowid, *values[1:])
    return values


def _fit(table: Table, values: tuple[Value, ...]) -> bool:
    return all(map(_fits, table.columns, values))


def _fits(column: Column[Any], value: Value) -> bool:
    if value is None:
        return bool(column.nullable)
    match column.type:
        case Boolean():
            return value in (0, 1)
        case Integer():
            return isinstance(value, int)
        case Float():
            return isinstance(value, int | float)
        case LargeBinary(length=length):
            return isinstance(value, bytes) and len(value) == length
        case _:
            return isinstance(value, str)


def _is_seq(value: Value) -> bool:
    return isinstance(value, int) and value > 0
