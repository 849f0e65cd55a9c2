"""Reading an exported log back: from a file in JSON lines, also compressed, checked as it comes."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, cast

from arkor.core.extras import import_extra
from arkor.core.lines import read_line
from arkor.core.record import GENESIS, Record, digest_of, form_of
from arkor.errors import JournalError
from arkor.store.moment import microseconds

__all__ = ["read_exported"]

LONGEST_LINE: Final = 128 * 1024 * 1024
"""Bytes of a line that is still read: six times what the largest event of a stream may have."""

BUFFER: Final = 128 * 1024

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""How a file in zstd begins (RFC 8878, 3.1.1)."""


def read_exported(file: BinaryIO, name: str) -> Iterator[Record]:
    """The records of the export in `file`, each checked against its digest.

    They are one run's, from its first record on without a gap; how the log ended, nobody can
    tell from them. `name` is what messages call the file. Raises `JournalError` naming the line
    and the record that is not what was exported; `ConfigError` for a compressed file without the
    extra `export`.
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
        begun = file.read(len(ZSTD))
        whole = _Whole(begun, file)
        yield _unpacked(whole) if begun == ZSTD else _buffered(whole)
    except OSError as error:
        raise JournalError(f"{name} cannot be read: {error}", path=name) from error


class _Whole(io.RawIOBase):
    """A file whose beginning was looked at; it stays open when its reader is closed."""

    def __init__(self, begun: bytes, file: BinaryIO) -> None:
        self._begun, self._file = begun, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._begun = self._begun or self._file.read(len(buffer)), b""
        buffer[: len(data)] = data
        return len(data)


def _unpacked(file: _Whole) -> BinaryIO:
    arrow = import_extra("pyarrow", extra="export")
    return _buffered(arrow.CompressedInputStream(arrow.PythonFile(file, mode="r"), "zstd"))


def _buffered(raw: Any) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(raw, BUFFER))


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
    if digest_of(prev_digest, form_of(record)) != record.digest:
        raise ValueError("its digest is another: it was changed, or a record before it was")
    return record._replace(prev_digest=prev_digest)
