"""Reading a run's log for its check: as the file has it, page by page, whatever is in there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Select, select, tuple_

from arkor.core.anchor import Anchor
from arkor.core.tampering import Finding, Row, follows, recorded_as
from arkor.core.verify import Standing, VerifyReport, check_heads, reported, verify_rows
from arkor.errors import JournalCorruptError
from arkor.store import sqlite
from arkor.store.database import ReadDoor
from arkor.store.moment import rfc3339
from arkor.store.prune import Tombstone, read_tombstone
from arkor.store.schema import kinds, records, runs

__all__ = ["Verifier"]

PAGE: Final = 10_000
"""Records that are read in one go; nothing is held between two of them."""

SEARCHED: Final = 1_000_000
"""How many records of other runs are looked at for where a row comes from."""

_RECORD = select(
    records.c.seq,
    records.c.kind,
    records.c.sse_id,
    records.c.recorded_at,
    records.c.data,
    records.c.digest,
)


class Verifier:
    """Checks the logs of the journal that is read through a door."""

    def __init__(self, door: ReadDoor) -> None:
        self._door = door
        self._checked: tuple[object, str | None] = (None, None)

    def verify(self, run_id: str, heads: Sequence[Anchor] = ()) -> VerifyReport:
        """The report on a run that the journal has. See `Journal.verify`."""
        door = self._door
        with door.connect() as connection:
            run = connection.execute(select(runs.c.id).where(runs.c.run_id == run_id)).scalar_one()
        rows = _Legible(_rows(door, run))
        report = verify_rows(run_id, rows, heads, _Others(door, run).find)
        if report.ok or report.fault in ("cut", "missing"):
            trouble = rows.error or self._out_of_reach(run, report) or self._damage()
            if trouble is not None:
                return _unreadable(report, trouble)
        # Asked afterwards: a run may be pruned while it is read.
        with door.connect() as connection:
            tombstone = read_tombstone(connection, run_id)
        if tombstone is None:
            return report
        return _of_pruned(tombstone, heads, any(True for _ in _rows(door, run)))

    def _out_of_reach(self, run: int, report: VerifyReport) -> str | None:
        # SQLite takes a row whose run was damaged for the end of those before it.
        place = tuple_(records.c.run, records.c.seq)
        query = _RECORD.where(place > (run, report.records)).order_by(*place.clauses).limit(1)
        # One that its owner has appended meanwhile is in reach.
        elsewhere = query.where(records.c.run != run)
        with self._door.connect() as connection, sqlite.as_stored(connection):
            rows = list(_read(connection, elsewhere))
        prev = bytes.fromhex(report.head)
        if not any(follows(report.run_id, report.records + 1, prev, row) for row in rows):
            return None
        return "the file has it under another run"

    def _damage(self) -> str | None:
        """What is wrong with the file, so that rows may be out of reach without an error."""
        found = os.stat(self._door.path)
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._checked[0] != state:
            with self._door.connect() as connection:
                self._checked = (state, sqlite.broken_table(connection, records.name))
        trouble = self._checked[1]
        return trouble and f"the file is damaged ({trouble})"


class _Legible(Iterator[Row]):
    """The rows up to the first that SQLite cannot read; `error` is then what it says."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.error: JournalCorruptError | None = None

    def __next__(self) -> Row:
        try:
            return next(self._rows)
        except JournalCorruptError as error:
            self.error = error
            raise StopIteration from error


def _unreadable(report: VerifyReport, trouble: object) -> VerifyReport:
    seq = report.records + 1
    what = f"record {seq}, if there was one, is out of reach: {trouble}"
    finding = Finding("unreadable", seq, what)
    return reported(
        report.run_id,
        report.records,
        bytes.fromhex(report.head),
        finding,
        anchored_seq=report.anchored_seq,
    )


def _rows(door: ReadDoor, run: int, after: Any = None) -> Iterator[Row]:
    """The run's rows behind the one that is numbered `after`, by number."""
    stored = False
    while True:
        read = 0
        with door.connect() as connection:
            try:
                with sqlite.as_stored(connection) if stored else nullcontext():
                    for row in _page(connection, run, after):
                        after, read = row[0], read + 1
                        yield row
            except Exception as error:
                if stored or not sqlite.is_undecodable(error):
                    raise
                stored, read = True, PAGE  # that row again, and what is behind it
        if read < PAGE:
            return


def _page(connection: Connection, run: int, after: Any) -> Iterator[Row]:
    query = _RECORD.where(records.c.run == run).order_by(records.c.seq).limit(PAGE)
    if after is not None:
        query = query.where(records.c.seq > after)
    return _read(connection, query)


def _read(connection: Connection, query: Select[Any]) -> Iterator[Row]:
    known = _Kinds(connection)
    # The driver's own cursor: SQLAlchemy's rows cost as much as all the rest.
    cursor: Any = connection.execute(query).cursor
    for seq, kind, sse_id, recorded_at, data, digest in cursor:
        yield seq, *known[kind], sse_id, _moment(recorded_at), data, digest


def _moment(at: Any) -> Any:
    try:
        return rfc3339(at) if isinstance(at, int) else at
    except OverflowError:
        return at  # what is no time is for the check to judge


class _Kinds(dict[Any, tuple[Any, Any]]):
    """The source and type that a number in `kinds` stands for."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, kind: Any) -> tuple[Any, Any]:
        query = select(kinds.c.source, kinds.c.type).where(kinds.c.id == kind)
        row = self._connection.execute(query).first()
        found = self[kind] = (None, None) if row is None else (row[0], row[1])
        return found


class _Others:
    """The other runs of the journal, where a row may come from."""

    def __init__(self, door: ReadDoor, run: int) -> None:
        self._door = door
        self._run = run

    def find(self, row: Row) -> tuple[str, int] | None:
        """The run and the seq as which `row` was recorded, if it was in one of them."""
        with self._door.connect() as connection:
            query = select(runs.c.id, runs.c.run_id).where(runs.c.id != self._run)
            others = [tuple(each) for each in connection.execute(query.order_by(runs.c.id.desc()))]
        return self._near(others, row) or self._anywhere(others, row)

    def _near(self, others: list[tuple[int, str]], row: Row) -> tuple[str, int] | None:
        # Most are exchanged for one with the same number, and that is quickly seen.
        behind = max(row[0] - 2, 0)
        for run, run_id in others:
            rows = islice(_rows(self._door, run, behind), 3)
            seq = recorded_as(run_id, rows, row, behind)
            if seq is not None:
                return run_id, seq
        return None

    def _anywhere(self, others: list[tuple[int, str]], row: Row) -> tuple[str, int] | None:
        budget = iter(range(SEARCHED))
        for run, run_id in others:
            rows = (each for each, _ in zip(_rows(self._door, run), budget, strict=False))
            seq = recorded_as(run_id, rows, row)
            if seq is not None:
                return run_id, seq
        return None


def _of_pruned(tombstone: Tombstone, heads: Sequence[Anchor], has_rows: bool) -> VerifyReport:
    run_id, count, when = tombstone.run_id, tombstone.records, tombstone.pruned_at
    if not isinstance(tombstone.head, bytes) or not isinstance(count, int):
        finding: Finding | None = Finding("changed", 1, "what was kept of the log is damaged")
        return reported(run_id, 0, b"", finding, pruned_at=str(when))
    standing = {tombstone.head: Standing(count)}
    earlier = [head for head in heads if head.digest not in standing and (head.seq or 0) < count]
    if has_rows:
        finding = Finding("inserted", 1, f"the log was pruned at {when}, and has records again")
    elif earlier:
        what = f"the log was pruned at {when}: only its last record can still be compared"
        finding = Finding("pruned", earlier[0].seq or 1, what)
    else:
        finding = check_heads(heads, standing, count, whole=True)
    anchored = count if any(head.digest in standing for head in heads) else None
    return reported(
        run_id, count, tombstone.head, finding, anchored_seq=anchored, pruned_at=str(when)
    )
