"""Everything that is true of SQLite only: connections, durability, checkpoints, its errors.

SQLite before 3.51.3 can lose commits when one connection resets the write-ahead log while
another checkpoints it (the WAL-reset race). Here no connection checkpoints by itself; the writer
that holds the journal's file lock does, and readers cannot (`mode=ro`). The last connection of all
checkpoints as it closes: then there are no two.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from arkor.errors import JournalCorruptError, JournalError
from arkor.store.files import sync_folder
from arkor.store.schema import metadata

__all__ = [
    "CHECKPOINT_PAGES",
    "PAGE",
    "as_stored",
    "backup",
    "broken_table",
    "checkpoint",
    "compact",
    "connect_file",
    "connect_to",
    "damage",
    "driver_of",
    "engine_for",
    "free_bytes",
    "is_undecodable",
    "log_of",
    "log_pages",
    "open_empty",
    "open_writing",
    "set_durable",
    "set_patient",
    "transaction",
    "translated",
    "use_journal_mode",
]

PAGE: Final = 4096
CHECKPOINT_PAGES: Final = 1000
"""How far the write-ahead log grows before it is folded into the file: about 4 MB."""

BUSY_TIMEOUT: Final = 5.0


def open_writing(path: Path) -> Connection:
    """A connection that writes, within `transaction`."""
    return engine_for(lambda: connect_file(path, "mode=rw")).connect()


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Write atomically: the write lock is taken at once, and an exception undoes the block.

    On the driver's connection, since SQLAlchemy's own begin and commit cost more than SQLite's.
    """
    driver = driver_of(connection)
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        driver.commit()
    except BaseException:
        driver.rollback()
        connection.rollback()
        raise
    connection.commit()  # for SQLAlchemy, which may take the block for a transaction of its own


def log_of(path: Path) -> Path:
    """Where the write-ahead log of the file at `path` is, if it has one."""
    return path.with_name(f"{path.name}-wal")


def open_empty() -> Connection:
    """A journal that holds nothing: what a reader sees before there is a file."""
    connection = engine_for(lambda: connect_to(":memory:")).connect()
    metadata.create_all(connection)
    return connection


def engine_for(creator: Callable[[], sqlite3.Connection]) -> Engine:
    """An engine whose one connection is what `creator` makes."""
    return create_engine("sqlite://", creator=creator, poolclass=NullPool)


def connect_file(path: Path, options: str) -> sqlite3.Connection:
    """Open the file with these options of an SQLite URI, and never to checkpoint by itself."""
    connection = connect_to(f"{path.as_uri()}?{options}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def connect_to(uri: str) -> sqlite3.Connection:
    """Open a database for any thread, without transactions of the driver's own making."""
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection below SQLAlchemy's."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def use_journal_mode(connection: Connection, mode: str, *, timeout: float) -> None:
    """Switch the file to `wal` or `delete`, waiting for readers that are in the way."""
    driver = driver_of(connection)
    deadline = time.monotonic() + timeout
    while driver.execute("PRAGMA journal_mode").fetchone()[0] != mode:
        try:
            # To the statement's very end: what it writes is committed only there.
            driver.execute(f"PRAGMA journal_mode={mode}").fetchall()
        except sqlite3.OperationalError as error:
            # SQLite answers at once here, whatever the busy timeout says.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def set_durable(connection: Connection, durable: bool) -> None:
    """Whether the next transactions survive power loss, or only the death of the process."""
    driver_of(connection).execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


def set_patient(connection: Connection, patient: bool) -> None:
    """Whether the next transactions wait for a while for another program that has the file."""
    patience = int(BUSY_TIMEOUT * 1000) if patient else 0
    driver_of(connection).execute(f"PRAGMA busy_timeout={patience}").fetchall()


def log_pages(path: Path) -> int:
    """How many pages the write-ahead log's file has room for: the most that may be in it."""
    try:
        return log_of(path).stat().st_size // PAGE
    except FileNotFoundError:
        return 0


def checkpoint(connection: Connection) -> int:
    """Fold the write-ahead log into the file; the pages that readers still keep it from."""
    _, logged, folded = driver_of(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(logged - folded)


def free_bytes(connection: Connection) -> int:
    """How much room in the file is free for what will be written next."""
    driver = driver_of(connection)
    (pages,) = driver.execute("PRAGMA freelist_count").fetchone()
    (size,) = driver.execute("PRAGMA page_size").fetchone()
    return int(pages * size)


def compact(connection: Connection) -> None:
    """Give the free room in the file back to the disk. Only for who holds the journal's lock.

    Takes as much room beside it for a while. Readers go on with what they see.
    """
    driver = driver_of(connection)
    driver.execute("VACUUM")
    # The log has a copy of the whole file now. A reader that still needs it keeps it from going.
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def damage(connection: Connection) -> list[str]:
    """What SQLite finds wrong with the file: its pages and its indexes."""
    found = driver_of(connection).execute("PRAGMA integrity_check(100)")
    return [line for (line,) in found if line != "ok"]


def broken_table(connection: Connection, table: str) -> str | None:
    """What SQLite finds wrong with the pages of a table first; rows may be out of reach then."""
    try:
        (found,) = driver_of(connection).execute(f"PRAGMA quick_check({table})").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return str(error)
    return None if found == "ok" else str(found).splitlines()[-1]


def backup(connection: Connection, target: Path) -> None:
    """Copy the whole journal to `target`, replacing it, durable when this returns.

    Raises `OSError` as well as what SQLite does.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        copy = sqlite3.connect(part)
        try:
            driver_of(connection).backup(copy)
            # One file, which also stands on a disk that nothing can be written to.
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
        finally:
            copy.close()
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


@contextmanager
def as_stored(connection: Connection) -> Iterator[None]:
    """Read text that is no UTF-8 as its bytes while the block lasts, rather than not at all."""
    driver = driver_of(connection)
    driver.text_factory = _text
    try:
        yield
    finally:
        driver.text_factory = str


def _text(stored: bytes) -> str | bytes:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def is_undecodable(error: Exception) -> bool:
    """Whether `error` is about text that is no UTF-8."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.OperationalError) and "decode to UTF-8" in str(cause)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite raises within the block into a `JournalError` that says what to do."""
    try:
        yield
    except DBAPIError as error:
        raise _journal_error(error.orig, path) from error
    except sqlite3.Error as error:
        raise _journal_error(error, path) from error


def _journal_error(error: BaseException | None, path: Path) -> JournalError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    undecodable = isinstance(error, Exception) and is_undecodable(error)
    if undecodable or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalCorruptError(
            f"the journal {path} is damaged ({error}); it was left as it is. "
            "`arkor store salvage -o NEW.db` saves what is whole into a new journal",
            path=path,
        )
    return JournalError(
        f"the journal {path} cannot be used: {_cause(code, error, path)}", path=path
    )


def _cause(code: int, error: BaseException | None, path: Path) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return "the disk is full; free some space and run the same again"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another program keeps it locked; close it and run the same again"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return _refusal(path) or f"{error}; see that {path.parent} exists and can be written"
        case sqlite3.SQLITE_IOERR:
            name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
            return f"the disk answered with an error ({name}); see that it is healthy and not full"
        case _:
            return str(error)


def _refusal(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist"
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return "it is on a read-only filesystem"
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            return f"no permission to write to {place}"
    return None
