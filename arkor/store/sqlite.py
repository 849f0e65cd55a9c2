"""Everything that is true of SQLite only: connections, durability, checkpoints, its errors.

SQLite before 3.51.3 can lose commits when one connection resets the write-ahead log while
another checkpoints it (the WAL-reset race). Here no connection checkpoints by itself; the writer
that holds the journal's file lock does, and readers cannot (`mode=ro`). The last connection of all
checkpoints as it closes: then there are no two.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
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
    "damage",
    "free_bytes",
    "is_current",
    "is_undecodable",
    "is_whole",
    "log_pages",
    "open_copy",
    "open_empty",
    "open_reading",
    "open_writing",
    "set_durable",
    "transaction",
    "translated",
    "use_journal_mode",
]

PAGE: Final = 4096
CHECKPOINT_PAGES: Final = 1000
"""How far the write-ahead log grows before it is folded into the file: about 4 MB."""

BUSY_TIMEOUT: Final = 5.0

SEEN: Final = "seen"
"""Where a connection that sees no later change of the files keeps the state that it does see."""

UNLOCKED: Final = "unlocked"
"""The mark of a connection that reads the file itself, and that no writer waits for."""

WAL_MODE: Final = 2
"""What the file's header says of one that is written through a write-ahead log."""


def open_writing(path: Path) -> Connection:
    """A connection that writes, within `transaction`."""
    return _engine(lambda: _connect(path, "mode=rw")).connect()


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Write atomically: the write lock is taken at once, and an exception undoes the block.

    On the driver's connection, since SQLAlchemy's own begin and commit cost more than SQLite's.
    """
    driver = _driver(connection)
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        driver.commit()
    except BaseException:
        driver.rollback()
        connection.rollback()
        raise
    connection.commit()  # for SQLAlchemy, which may take the block for a transaction of its own


def open_reading(path: Path) -> Connection:
    """A connection that only reads, beside any writer, and makes no file.

    SQLite would make a write-ahead log and its index where there is none. But a log that is not
    there has no writer either, so then the file is read as one that does not change, as long as
    `is_current`; and with a log but no index, a private copy is.
    """
    log, index = (path.with_name(f"{path.name}-{each}") for each in ("wal", "shm"))
    if not _has_log(path) or (log.exists() and index.exists()):
        return _open_beside(path)
    if log.exists():
        return open_copy(path)
    state = _state_of(path)
    connection = _engine(lambda: _connect(path, "mode=ro&immutable=1")).connect()
    connection.info.update({SEEN: state, UNLOCKED: True})
    return connection


def is_current(connection: Connection, path: Path) -> bool:
    """Whether a connection of `open_reading` sees what has been written to the files since."""
    seen = connection.info.get(SEEN)
    return seen is None or seen == _state_of(path)


def is_whole(connection: Connection, path: Path) -> bool:
    """Whether what was just read through the connection was of one state of the file."""
    return UNLOCKED not in connection.info or connection.info[SEEN][0] == _stamp_of(path)


def open_copy(path: Path, prepare: Callable[[Connection], None] | None = None) -> Connection:
    """A connection to a private copy, `prepare`d, of what is in the files now: see `is_current`.

    The copy has no name any more, and is gone with the connection.
    """
    state = _state_of(path)
    with TemporaryDirectory(prefix="arkor-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        log = _log_of(path)
        if log.exists():
            shutil.copyfile(log, copy.with_name(log.name))
        connection = _engine(lambda: _connect(copy, "mode=rw")).connect()
        # This opens all the files, which then live as long as the connection.
        _driver(connection).execute("SELECT 1 FROM sqlite_master")
        if prepare is not None:
            prepare(connection)
            connection.commit()
        connection.info[SEEN] = state
        return connection


def _has_log(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(20)
    return len(header) == 20 and WAL_MODE in header[18:20]


def _open_beside(path: Path) -> Connection:
    connection = _engine(lambda: _connect(path, "mode=ro")).connect()
    try:
        _driver(connection).execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        unopened = error.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
        )
        # Where nothing can be written, SQLite cannot use the index of a write-ahead log.
        if not unopened or os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK):
            raise
        return open_copy(path)
    return connection


def _state_of(path: Path) -> tuple[object, ...]:
    """What changes whenever somebody writes to the file or to its write-ahead log."""
    return _stamp_of(path), _stamp_of(_log_of(path))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def open_empty() -> Connection:
    """A journal that holds nothing: what a reader sees before there is a file."""
    connection = _engine(lambda: _connect_to(":memory:")).connect()
    metadata.create_all(connection)
    return connection


def _engine(creator: Callable[[], sqlite3.Connection]) -> Engine:
    return create_engine("sqlite://", creator=creator, poolclass=NullPool)


def _connect(path: Path, options: str) -> sqlite3.Connection:
    connection = _connect_to(f"{path.as_uri()}?{options}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _connect_to(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def use_journal_mode(connection: Connection, mode: str, *, timeout: float) -> None:
    """Switch the file to `wal` or `delete`, waiting for readers that are in the way."""
    driver = _driver(connection)
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
    _driver(connection).execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


def log_pages(path: Path) -> int:
    """How many pages the write-ahead log's file has room for: the most that may be in it."""
    try:
        return _log_of(path).stat().st_size // PAGE
    except FileNotFoundError:
        return 0


def checkpoint(connection: Connection) -> int:
    """Fold the write-ahead log into the file; the pages that readers still keep it from."""
    _, logged, folded = _driver(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(logged - folded)


def free_bytes(connection: Connection) -> int:
    """How much room in the file is free for what will be written next."""
    driver = _driver(connection)
    (pages,) = driver.execute("PRAGMA freelist_count").fetchone()
    (size,) = driver.execute("PRAGMA page_size").fetchone()
    return int(pages * size)


def compact(connection: Connection) -> None:
    """Give the free room in the file back to the disk. Only for who holds the journal's lock.

    Takes as much room beside it for a while. Readers go on with what they see.
    """
    driver = _driver(connection)
    driver.execute("VACUUM")
    # The log has a copy of the whole file now. A reader that still needs it keeps it from going.
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def damage(connection: Connection) -> list[str]:
    """What SQLite finds wrong with the file: its pages, its indexes, its references."""
    driver = _driver(connection)
    found = [line for (line,) in driver.execute("PRAGMA integrity_check(100)") if line != "ok"]
    broken = driver.execute(
        'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
    )
    return found + [
        f"{count} rows of {table} belong to a row of {parent} that is not there"
        for table, parent, count in broken
    ]


def broken_table(connection: Connection, table: str) -> str | None:
    """What SQLite finds wrong with the pages of a table first; rows may be out of reach then."""
    try:
        (found,) = _driver(connection).execute(f"PRAGMA quick_check({table})").fetchone()
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
            _driver(connection).backup(copy)
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
    driver = _driver(connection)
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
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
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
