"""What a journal's file says of itself, at a glance and without changing it."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from arkor.store import sqlite
from arkor.store.database import ReadDoor
from arkor.store.migrate import current_revision, is_behind, migrations_folder, revisions
from arkor.store.reading import open_reading
from arkor.store.schema import kinds, records, runs

__all__ = [
    "holds_nothing",
    "known_revision",
    "newest_record",
    "newest_sse_ids",
    "quick_damage",
    "read_revision",
]

OPCODES: Final = 10_000
"""SQLite's steps between two looks at the clock: some tenths of a millisecond."""

FEW: Final = 3
"""Kinds of damage that are named; where there is one there are often thousands."""


def holds_nothing(path: Path) -> bool:
    """Whether there is a file at `path`, and nothing in it: what no journal is once it was made."""
    try:
        return path.stat().st_size == 0 and not sqlite.log_pages(path)
    except FileNotFoundError:
        return False


def known_revision() -> str:
    """The newest schema that this Arkor knows."""
    return revisions(migrations_folder())[-1]


def read_revision(path: Path) -> str | None:
    """The schema of the journal at `path`; `None` if it is still empty.

    Raises `JournalError` if it cannot be read or is the database of something else,
    `JournalTooNewError` if a newer Arkor wrote it, `JournalCorruptError` if it is no database.
    """
    with _reading(path) as connection:
        is_behind(connection, migrations_folder(), path)
        return current_revision(connection)


def quick_damage(path: Path, *, seconds: float) -> list[str] | None:
    """What SQLite's quick check says is wrong with the file's pages; empty if nothing is.

    `None` if `seconds` were not enough to tell. Raises as `read_revision` does.
    """
    deadline = time.monotonic() + seconds
    with _reading(path) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(lambda: time.monotonic() > deadline, OPCODES)
        try:
            said = [row[0] for row in driver.execute(f"PRAGMA quick_check({FEW})")]
        except driver.OperationalError:
            if time.monotonic() > deadline:
                return None
            raise
    return [] if said == ["ok"] else said


def newest_record(path: Path) -> int | None:
    """When the newest record of all runs was appended, in microseconds of Unix time.

    That is the newest of the runs' last records, `None` if there are none. Raises `JournalError`
    if the journal cannot be read.
    """
    last = (
        select(records.c.recorded_at)
        .where(records.c.run == runs.c.id)
        .order_by(records.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    with closing(ReadDoor(path)) as door, door.connect() as connection:
        at = connection.execute(select(func.max(last)).select_from(runs)).scalar()
    return at if isinstance(at, int) else None


def newest_sse_ids(path: Path, run_id: str, limit: int) -> list[str]:
    """The ids of the run's last events that have one, the newest first.

    Raises `JournalError` if the journal cannot be read.
    """
    query = (
        select(records.c.sse_id)
        .join(runs, runs.c.id == records.c.run)
        .join(kinds, kinds.c.id == records.c.kind)
        .where(runs.c.run_id == run_id, kinds.c.source == "stream", records.c.sse_id != "")
        .order_by(records.c.seq.desc())
        .limit(limit)
    )
    with closing(ReadDoor(path)) as door, door.connect() as connection:
        return [str(each) for each in connection.execute(query).scalars()]


@contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    with sqlite.translated(path), closing(open_reading(path)) as connection:
        yield connection
