"""Connections that read the journal's file beside any writer, and make no file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Connection

from arkor.errors import JournalError
from arkor.store.sqlite import connect_file, connect_to, driver_of, engine_for, log_of

__all__ = ["is_current", "is_whole", "open_copy", "open_reading"]

SEEN: Final = "seen"
"""Where a connection that sees no later change of the files keeps the state that it does see."""

UNLOCKED: Final = "unlocked"
"""The mark of a connection that reads the file itself, and that no writer waits for."""


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
    connection = engine_for(lambda: connect_file(path, "mode=ro&immutable=1")).connect()
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
        log = log_of(path)
        _copy_files({path: copy, log: copy.with_name(log.name)})
        connection = engine_for(lambda: connect_file(copy, "mode=rw")).connect()
        # This opens all the files, which then live as long as the connection.
        driver_of(connection).execute("SELECT 1 FROM sqlite_master")
        if prepare is not None:
            prepare(connection)
            connection.commit()
        connection.info[SEEN] = state
        return connection


def _has_log(path: Path) -> bool:
    """Whether the file is written through a write-ahead log, if one can tell.

    SQLite must say it: whoever opens the file otherwise, and closes it, takes all locks off that
    connections of this process have on it (POSIX fcntl), and then nothing keeps another process
    from removing the log they write to. And without locks SQLite opens no file that has a log.
    """
    with closing(connect_to(f"{path.as_uri()}?mode=ro&nolock=1")) as connection:
        try:
            connection.execute("PRAGMA journal_mode")
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
        return False


COPY: Final = """
import shutil, sys
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        pass
"""


def _copy_files(copies: Mapping[Path, Path]) -> None:
    """Copy the files that are there; in another process, for the sake of this one's locks."""
    places = [str(place) for pair in copies.items() for place in pair]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", COPY, *places],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2]
        raise JournalError(f"the journal {next(iter(copies))} cannot be copied to be read: {why}")


def _open_beside(path: Path) -> Connection:
    connection = engine_for(lambda: connect_file(path, "mode=ro")).connect()
    try:
        driver_of(connection).execute("SELECT 1 FROM sqlite_master")
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
    return _stamp_of(path), _stamp_of(log_of(path))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
