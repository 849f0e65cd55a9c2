"""Writing a private file so that it is there whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["private_file", "sync_folder", "write_private"]


def write_private(path: Path, data: bytes, *, part: Path) -> None:
    """Put `data` at `path` as `private_file` does."""
    with private_file(path, part=part) as stream:
        stream.write(data)


@contextmanager
def private_file(path: Path, *, part: Path) -> Iterator[BinaryIO]:
    """A file that is at `path` with mode 0600, through `part`, and durable, once the block ends.

    The caller sees to it that no two do so at once. Raises `OSError`. An exception within the
    block leaves what was at `path`, and no `part`.
    """
    if not path.parent.is_dir():  # the error would name `part`, which nobody has asked for
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    try:
        part.unlink(missing_ok=True)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as stream:
            yield stream
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
