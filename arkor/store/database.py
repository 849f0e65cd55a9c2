"""The doors to the journal's file: one for writing in each process, and those for reading.

A write transaction holds a lock on `arkor.db.lock` beside SQLite's own. That lock waits without
SQLite's busy loop, says who holds it, and is what makes checkpoints safe (see `store.sqlite`).
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from arkor.errors import JournalError
from arkor.store import reading, sqlite
from arkor.store.door import Door
from arkor.store.filelock import FileLock
from arkor.store.files import sync_folder
from arkor.store.migrate import current_revision, is_behind, upgrade
from arkor.store.network import MOUNTS, claim_host, network_filesystem, warn_of_network
from arkor.store.paths import ensure_home

__all__ = ["LOCK_TIMEOUT", "Busy", "ReadDoor", "WriteDoor"]

LOCK_TIMEOUT: Final = 30.0
"""How long a writer waits for another one, in seconds."""


class Busy(Exception):
    """The journal is not free at once."""


class WriteDoor(Door):
    """The one connection of this process that writes to the journal at `path`.

    It is opened, and the journal made where that is allowed, or migrated, by the first
    transaction.
    """

    writes = True

    def __init__(
        self,
        path: Path,
        *,
        migrations: Path | None = None,
        mounts: Path = MOUNTS,
        timeout: float = LOCK_TIMEOUT,
    ) -> None:
        super().__init__(path, migrations)
        self._mounts = mounts
        self._timeout = timeout
        self._processes = FileLock(path.with_name(f"{path.name}.lock"))
        self._manner = (True, False)
        self._logged = False
        self._pages = 0

    @contextmanager
    def transaction(
        self, *, durable: bool, create: bool = True, at_once: bool = False
    ) -> Iterator[Connection]:
        """Read and write atomically, alone. An exception within the block undoes it all.

        `durable` survives power loss once the block is left, otherwise the death of this
        process. `at_once` waits for nobody, and hardly for the disk: it raises `Busy` instead.
        Not to be nested, nor forked in. Raises `JournalError` if the journal cannot be opened or
        written, or is not there and this may not `create` it: then nothing of the block was.
        """
        if not create:
            self._refuse_if_gone()
        with self._locked(at_once=at_once), sqlite.translated(self.path), _busy(at_once):
            if at_once:
                self._refuse_to_wait()
            connection = self._opened(create=create)
            # Not behind the commit: what fails there must not look like a failed transaction.
            self._checkpoint_if_due(connection)
            if (durable, at_once) != self._manner:
                sqlite.set_durable(connection, durable)
                sqlite.set_patient(connection, not at_once)
                self._manner = (durable, at_once)
            with sqlite.transaction(connection):
                yield connection

    def compact(self) -> int:
        """Give the room of what was pruned back to the disk; how many bytes that were.

        Raises `JournalError` as `transaction` does; the journal then has all that it had.
        """
        self._refuse_if_gone()
        with self._locked(), sqlite.translated(self.path):
            connection = self._opened(create=False)
            free = sqlite.free_bytes(connection)
            sqlite.compact(connection)
            self._pages = sqlite.log_pages(self.path)
        return free

    def wrote(self, size: int) -> None:
        """Count the bytes of a transaction, so that checkpoints come in time."""
        # Each commit writes the pages that it touches whole: about three besides the data's.
        self._pages += 3 + size // sqlite.PAGE

    def _disconnect(self) -> None:
        # The last connection of all checkpoints as it closes. It needs no lock for that: SQLite
        # makes sure that there is no other.
        super()._disconnect()
        self._processes.close()

    @contextmanager
    def _locked(self, *, at_once: bool = False) -> Iterator[None]:
        if not self._threads.acquire(blocking=not at_once):
            raise Busy
        try:
            self._acquire(0.0 if at_once else self._timeout)
            try:
                yield
            finally:
                self._processes.release()
        finally:
            self._threads.release()

    def _acquire(self, timeout: float) -> None:
        try:
            if self._connection is None:
                ensure_home(self.path.parent)
            self._processes.acquire(timeout)
        except TimeoutError as error:
            if not timeout:
                raise Busy from error
            raise JournalError(
                f"the journal {self.path} has been locked by {self._processes.holder()} for "
                f"{timeout:g} s; wait for it, or end it, and run the same again",
                path=self.path,
            ) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _opened(self, *, create: bool) -> Connection:
        if self._connection is not None:
            self._check_identity()
            return self._connection
        try:
            if create:
                self._create()
            connection = sqlite.open_writing(self.path)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise self._unusable(error) from error
        self._manner = (True, False)
        return self._keep(connection)

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
        network = network_filesystem(self.path, self._mounts)
        mode = "delete" if network else "wal"
        sqlite.use_journal_mode(connection, mode, timeout=self._timeout)
        sqlite.set_durable(connection, True)
        if behind and revision is not None:
            sqlite.backup(connection, self.path.with_name(f"{self.path.name}.{revision}"))
        with sqlite.transaction(connection):
            if behind:
                upgrade(connection, self._migrations)
            if network:
                claim_host(connection, self.path, time.time())
        if network:
            warn_of_network(self.path, network)
        self._logged = not network
        self._pages = sqlite.log_pages(self.path)

    def _refuse_to_wait(self) -> None:
        # Without a write-ahead log every commit waits for the disk; with one, a checkpoint does.
        if self._connection is None or not self._logged or self._pages >= sqlite.CHECKPOINT_PAGES:
            raise Busy

    def _checkpoint_if_due(self, connection: Connection) -> None:
        if self._pages >= sqlite.CHECKPOINT_PAGES:
            sqlite.checkpoint(connection)
            self._pages = 0

    def _refuse_if_gone(self) -> None:
        # Asked before the lock is taken, which would make the folder and a file in it.
        if self._on_disk() is None:
            self.close()
            raise JournalError(
                f"there is no journal {self.path}: it was removed, or ARKOR_HOME is not what it "
                "was; put it back and run the same again",
                path=self.path,
            )

    def _check_identity(self) -> None:
        # A file that was removed or replaced would still take every write, and keep none.
        if self._on_disk() != self._identity:
            self._disconnect()
            raise JournalError(
                f"the journal {self.path} was removed or replaced while it was in use; "
                "put it back, or start again with what is there now",
                path=self.path,
            )


@contextmanager
def _busy(at_once: bool) -> Iterator[None]:
    """Say `Busy` where another program, which knows nothing of our lock, is in the way."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if at_once and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise Busy from error
        raise


class ReadDoor(Door):
    """A read-only connection to the journal at `path`, for any thread, which makes no file.

    A journal that does not exist yet reads as an empty one; of an older one, a copy is migrated
    and read, and the journal stays as it is until somebody writes to it.
    """

    def __init__(self, path: Path, *, migrations: Path | None = None) -> None:
        super().__init__(path, migrations)
        self._empty: Connection | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for some reading; each statement sees all that is committed by then.

        Raises `JournalError` if the journal cannot be read.
        """
        with sqlite.translated(self.path), self._threads:
            connection = self._opened()
            try:
                yield connection
            finally:
                connection.rollback()
            if connection is self._connection and not reading.is_whole(connection, self.path):
                raise JournalError(
                    f"the journal {self.path} was opened for writing just while it was read; "
                    "run the same again",
                    path=self.path,
                )

    def _opened(self) -> Connection:
        there = self._on_disk()
        if there != self._identity:
            self._disconnect()
        if there is None:
            self._empty = self._empty or sqlite.open_empty()
            return self._empty
        if self._connection is not None and not reading.is_current(self._connection, self.path):
            self._disconnect()
        return self._connection or self._keep(self._open())

    def _open(self) -> Connection:
        connection = reading.open_reading(self.path)
        try:
            if not is_behind(connection, self._migrations, self.path):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return reading.open_copy(self.path, lambda copy: upgrade(copy, self._migrations))

    def _disconnect(self) -> None:
        super()._disconnect()
        if self._empty is not None:
            self._empty.close()
            self._empty = None
