"""The doors to the journal's file: one for writing in each process, one for reading.

A write transaction holds a lock on `arkor.db.lock` beside SQLite's own. That lock waits without
SQLite's busy loop, says who holds it, and is what makes checkpoints safe (see `store.sqlite`).
After a fork the child leaves the parent's connections alone and opens its own.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from arkor.errors import JournalError
from arkor.store import sqlite
from arkor.store.filelock import FileLock
from arkor.store.files import sync_folder
from arkor.store.migrate import current_revision, is_behind, migrations_folder, upgrade
from arkor.store.paths import ensure_home

__all__ = ["LOCK_TIMEOUT", "ReadDoor", "WriteDoor"]

LOCK_TIMEOUT: Final = 30.0
"""How long a writer waits for another one, in seconds."""

_doors: "weakref.WeakSet[ReadDoor | WriteDoor]" = weakref.WeakSet()
# SQLite forbids even closing a connection that came through a fork, so these stay open.
_inherited: list[Any] = []


class WriteDoor:
    """The one connection of this process that writes to the journal at `path`.

    It is opened, and the journal made or migrated, by the first transaction.
    """

    def __init__(
        self, path: Path, *, migrations: Path | None = None, timeout: float = LOCK_TIMEOUT
    ) -> None:
        self.path = path
        self._migrations = migrations or migrations_folder()
        self._timeout = timeout
        self._reset()
        _doors.add(self)

    def _reset(self) -> None:
        self._threads = threading.Lock()
        self._processes = FileLock(self.path.with_name(f"{self.path.name}.lock"))
        self._connection: Connection | None = None
        self._durable: bool | None = None
        self._identity: tuple[int, int] | None = None
        self._pages = 0

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[Connection]:
        """Read and write atomically, alone. An exception within the block undoes it all.

        `durable` survives power loss once the block is left, otherwise the death of this
        process. Raises `JournalError` if the journal cannot be opened or written: then nothing
        of the block was.
        """
        with self._locked(), sqlite.translated(self.path):
            connection = self._opened()
            if durable is not self._durable:
                sqlite.set_durable(connection, durable)
                self._durable = durable
            try:
                with connection.begin():
                    yield connection
            except DBAPIError:
                # After a disk error the connection may be in any state; the next one is fresh.
                self._disconnect()
                raise
            self._checkpoint_if_due(connection)

    def wrote(self, size: int) -> None:
        """Count the bytes of a transaction, so that checkpoints come in time."""
        # Each commit writes the pages that it touches whole: about three besides the data's.
        self._pages += 3 + size // sqlite.PAGE

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        if self._connection is not None:
            with self._locked():
                self._disconnect()
        self._processes.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            try:
                ensure_home(self.path.parent)
                self._processes.acquire(self._timeout)
            except TimeoutError as error:
                raise JournalError(
                    f"the journal {self.path} has been locked by {self._processes.holder()} for "
                    f"{self._timeout:g} s; wait for it, or end it, and run the same again",
                    path=self.path,
                ) from error
            except OSError as error:
                raise self._unusable(error) from error
            try:
                yield
            finally:
                self._processes.release()

    def _opened(self) -> Connection:
        if self._connection is not None:
            self._check_identity()
            return self._connection
        try:
            self._create()
        except OSError as error:
            raise self._unusable(error) from error
        self._connection = sqlite.writing_engine(self.path).connect()
        try:
            self._prepare(self._connection)
        except BaseException:
            self._disconnect()
            raise
        self._identity = self._file_identity()
        return self._connection

    def _create(self) -> None:
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        sync_folder(self.path.parent)

    def _prepare(self, connection: Connection) -> None:
        behind = is_behind(connection, self._migrations, self.path)
        revision = current_revision(connection)
        connection.rollback()
        sqlite.use_journal_mode(connection, "wal", timeout=self._timeout)
        sqlite.set_durable(connection, True)
        if behind:
            if revision is not None:
                sqlite.backup(connection, self.path.with_name(f"{self.path.name}.{revision}"))
            with connection.begin():
                upgrade(connection, self._migrations)
        self._pages = sqlite.log_pages(self.path)

    def _checkpoint_if_due(self, connection: Connection) -> None:
        if self._pages >= sqlite.CHECKPOINT_PAGES:
            self._pages = 0
            sqlite.checkpoint(connection)

    def _disconnect(self) -> None:
        connection, self._connection, self._durable = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _check_identity(self) -> None:
        # A file that was removed or replaced would still take every write, and keep none.
        if self._file_identity() != self._identity:
            self._disconnect()
            raise JournalError(
                f"the journal {self.path} was removed or replaced while it was in use; "
                "put it back, or start again with what is there now",
                path=self.path,
            )

    def _unusable(self, error: OSError) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be used: {error.strerror} ({error.filename})",
            path=self.path,
        )

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's connection and locks."""
        _inherited.append(self._connection)
        self._processes.close()
        self._reset()


class ReadDoor:
    """Read-only connections to the journal at `path`, for any number of threads.

    A journal that does not exist yet reads as an empty one; an older one is migrated first.
    """

    def __init__(self, path: Path, *, migrations: Path | None = None) -> None:
        self.path = path
        self._migrations = migrations or migrations_folder()
        self._reset()
        _doors.add(self)

    def _reset(self) -> None:
        self._opening = threading.Lock()
        self._engine: Engine | None = None
        self._nothing: Engine | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for some reading; each statement sees all that is committed by then.

        Raises `JournalError` if the journal cannot be read.
        """
        with sqlite.translated(self.path), self._opened().connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections; the next reading opens others."""
        with self._opening:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _opened(self) -> Engine:
        if self._engine is not None:
            return self._engine
        with self._opening:
            if self._engine is None:
                if not self.path.exists():
                    self._nothing = self._nothing or sqlite.empty_engine()
                    return self._nothing
                engine = sqlite.reading_engine(self.path)
                self._migrate_if_behind(engine)
                self._engine = engine
            return self._engine

    def _migrate_if_behind(self, engine: Engine) -> None:
        with engine.connect() as connection:
            behind = is_behind(connection, self._migrations, self.path)
        if behind:
            engine.dispose()
            door = WriteDoor(self.path, migrations=self._migrations)
            with door.transaction(durable=True):
                pass
            door.close()

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's connections."""
        _inherited.append(self._engine)
        self._reset()


def _after_fork() -> None:
    for door in list(_doors):
        door.after_fork()


os.register_at_fork(after_in_child=_after_fork)
