"""A copy of the whole journal, taken beside whoever writes it."""

from contextlib import closing
from pathlib import Path
from typing import Final

from arkor.errors import ConfigError, JournalError
from arkor.store import sqlite
from arkor.store.database import ReadDoor

__all__ = ["backup_journal"]

MAGIC: Final = b"SQLite format 3\x00"


def backup_journal(path: Path, target: Path) -> int:
    """Copy the journal at `path` to the file `target`, and say how many bytes that has.

    The copy is one state of the journal, whatever is appended meanwhile; durable when this
    returns, and readable by its owner alone. An earlier backup is replaced, another file is not.
    It holds no token: the journal has none. Raises `ConfigError` for a target that cannot be,
    `JournalError` if the journal cannot be read or the copy not be written.
    """
    _check_target(path, target)
    with closing(ReadDoor(path)) as door, door.connect() as connection:
        try:
            sqlite.backup(connection, target)
            return target.stat().st_size
        except OSError as error:
            raise JournalError(
                f"the backup {target} cannot be written: {error.strerror}", path=target
            ) from error


def _check_target(path: Path, target: Path) -> None:
    if not path.exists():
        raise JournalError(f"there is no journal {path} to back up", path=path)
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent} for the backup", field="target")
    if not target.exists():
        return
    if target.samefile(path):
        raise ConfigError(f"{target} is the journal itself; name another file", field="target")
    with target.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ConfigError(
                f"{target} is there already, and is no backup; name another file", field="target"
            )
