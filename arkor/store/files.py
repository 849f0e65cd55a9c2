"""Writing a private file so that it is there whole or not at all."""

import os
from pathlib import Path

__all__ = ["sync_folder", "write_private"]


def write_private(path: Path, data: bytes, *, part: Path) -> None:
    """Put `data` at `path` with mode 0600, through `part`, durable when this returns.

    The caller sees to it that no two do so at once. Raises `OSError`, and leaves no `part`.
    """
    try:
        part.unlink(missing_ok=True)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive power loss. Raises `OSError`."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
