"""What every door to the journal's file has: a connection for one thread, and none across a fork.

SQLite keeps its locks in memory of the process too, so in a forked child even a fresh connection
would believe in locks that only the parent has. Hence each door is shut before a fork, by waiting
for the thread that is inside, and opens again on its next use.
"""

import os
import threading
import weakref
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Connection

from arkor.errors import JournalError
from arkor.store.migrate import migrations_folder

__all__ = ["Door"]


class Door:
    """One connection to the file at `path`, for one thread at a time."""

    writes: ClassVar = False

    def __init__(self, path: Path, migrations: Path | None) -> None:
        self.path = path
        self._migrations = migrations or migrations_folder()
        self._threads = threading.RLock()
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None
        _doors.add(self)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._threads:
            self._disconnect()

    def shut(self) -> None:
        """Close the file and keep it closed until `unshut`, by the same thread."""
        self._threads.acquire()
        self._disconnect()

    def unshut(self) -> None:
        """Let the file be opened again."""
        self._threads.release()

    @property
    def identity(self) -> tuple[int, int] | None:
        """The device and inode of the file while it is open: another file is another journal."""
        return self._identity

    def _disconnect(self) -> None:
        connection, self._connection, self._identity = self._connection, None, None
        if connection is not None:
            connection.close()

    def _keep(self, connection: Connection) -> Connection:
        self._connection, self._identity = connection, self._on_disk()
        return connection

    def _on_disk(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return found.st_dev, found.st_ino

    def _unusable(self, error: OSError) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be used: {error.strerror}; see that its folder can "
            "be read and written by you, or set ARKOR_HOME to another",
            path=self.path,
        )


_doors: "weakref.WeakSet[Door]" = weakref.WeakSet()
_shut: list[Door] = []


def _before_fork() -> None:
    # A thread that writes may read meanwhile, never the other way round.
    for door in sorted(_doors, key=lambda door: not door.writes):
        door.shut()
        _shut.append(door)


def _after_fork() -> None:
    while _shut:
        _shut.pop().unshut()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
