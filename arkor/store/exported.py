"""Reading an exported log back: from a file in JSON lines, also compressed, checked as it comes."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO, Final, cast

from arkor.core.exports import read_line
from arkor.core.extras import import_extra
from arkor.core.record import GENESIS, Record, canonical, digest_of
from arkor.errors import JournalError
from arkor.store.moment import microseconds

__all__ = ["read_exported"]

LONGEST_LINE: Final = 128 * 1024 * 1024
"""Bytes of a line that is still read: six times what the largest event of a stream may have."""

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""How a file in zstd begins (RFC 8878, 3.1.1)."""


def read_exported(file: BinaryIO, name: str) -> Iterator[Record]:
    """The records of the export in `file`, from its beginning, each checked against its digest.

    They are one run's, from its first record on without a gap; how the log ended, nobody can
    tell from them. `name` is what messages call the file, which must be one that can seek.
    Raises `JournalError` naming the line and the record that is not what was exported;
    `ConfigError` for a compressed file without the extra `export`.
    """
    before: Record | None = None
    with _opened(file, name) as lines:
        for number, line in enumerate(_lines(lines), 1):
            seq = before.seq + 1 if before else 1
            try:
                before = _next(line, before, seq)
            except ValueError as error:
                raise JournalError(
                    f"{name} cannot be imported: line {number}, which must be record {seq}: "
                    f"{error}; nothing was imported",
                    path=name,
                ) from error
            yield before
    if before is None:
        raise JournalError(f"{name} cannot be imported: it holds no record", path=name)


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    try:
        file.seek(0)
        packed = file.read(len(ZSTD)) == ZSTD
        file.seek(0)
        yield _unpacked(file) if packed else file
    except OSError as error:
        raise JournalError(f"{name} cannot be read: {error}", path=name) from error


def _unpacked(file: BinaryIO) -> BinaryIO:
    arrow = import_extra("pyarrow", extra="export")
    raw = arrow.PythonFile(_Lent(file), mode="r")
    return cast(BinaryIO, io.BufferedReader(arrow.CompressedInputStream(raw, "zstd")))


class _Lent(io.RawIOBase):
    """A file that is read, and stays open when its reader is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        yield line


def _next(line: bytes, before: Record | None, seq: int) -> Record:
    if len(line) > LONGEST_LINE:
        raise ValueError("it is longer than 128 MiB")
    record = read_line(line)
    if before is not None and record.run_id != before.run_id:
        raise ValueError(f"it is of another run than the lines before, {before.run_id}")
    if record.seq != seq:
        raise ValueError(f"it is record {record.seq}")
    microseconds(record.recorded_at)
    prev_digest = before.digest if before else GENESIS
    form = canonical(
        record.run_id,
        record.seq,
        record.source,
        record.type,
        record.sse_id,
        record.recorded_at,
        record.data,
    )
    if digest_of(prev_digest, form) != record.digest:
        raise ValueError("its digest is another: it was changed, or a record before it was")
    return replace(record, prev_digest=prev_digest)
