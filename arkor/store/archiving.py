"""A run's log as a compressed file of its own: written whole or not at all, and checked."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arkor.core.extras import import_extra
from arkor.errors import JournalError
from arkor.store.export_reader import read_exported
from arkor.store.files import sync_folder

__all__ = ["Archive", "archive_name", "check_archive", "write_archive"]

SUFFIX: Final = ".jsonl.zst"
LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive on the disk whose chain holds: the log that it has, and the file's own digest.

    `head` is the digest of the last of its `records`; `sha256` is in hexadecimal.
    """

    path: Path
    run_id: str
    records: int
    head: bytes
    sha256: str


def archive_name(run_id: str, name: str) -> str:
    """The name of a run's archive, such as any system can have."""
    plain = "".join(each if each.isascii() and each.isalnum() else "-" for each in name)
    return f"{run_id}-{plain[:LONGEST_NAME].strip('-') or 'run'}{SUFFIX}"


def write_archive(path: Path, pieces: Iterable[bytes]) -> None:
    """Put the lines of an export at `path`, compressed (zstd, RFC 8878), with mode 0600.

    Replaces what is there, and is durable when this returns. Raises `OSError`, and `ConfigError`
    without the extra `export`; then what was there still is.
    """
    pyarrow = import_extra("pyarrow", extra="export")
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Whoever compresses also closes the file, so it is synced through another opening.
        with pyarrow.CompressedOutputStream(os.fdopen(file, "wb"), "zstd") as packed:
            for piece in pieces:
                packed.write(piece)
        with part.open("rb") as stream:
            os.fsync(stream)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def check_archive(path: Path, run_id: str) -> Archive:
    """Read the run's archive from its first line to its last, and follow its chain.

    Raises `JournalError` if it is not whole, or another run's; `OSError` if it cannot be read.
    """
    records, head = 0, b""
    with path.open("rb") as file:
        for record in read_exported(file, str(path)):
            records, head = record.seq, record.digest
            if record.run_id != run_id:
                raise JournalError(f"{path} is an archive of run {record.run_id}", path=path)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Archive(path, run_id, records, head, sha256)
