"""Reading an SQLite file page by page, without SQLite: what a damage leaves can still be read.

SQLite gives up at the first page that makes no sense, and with it all that hangs below. Here each
page is read for itself, so a damaged one costs what is on it and no more. The numbers in comments
are sections of https://www.sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["Row", "Value", "missing_pages", "read_rows"]

Value = None | int | float | str | bytes

PAGE: Final = 4096
"""The size of a journal's pages, should its header not say it."""

MAGIC: Final = b"SQLite format 3\x00"
LOG_MAGIC: Final = (0x377F0682, 0x377F0683)

# 1.6: the first byte of a page of a b-tree.
INDEX_INNER: Final = 2
TABLE_LEAF: Final = 13
INDEX_LEAF: Final = 10

LONGEST: Final = 1 << 26
"""Bytes of the longest row that is read: a record's data has 16 MiB at most."""

_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""How many bytes the serial types of integers have (2.1)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, with its rowid, or an entry of an index or of a table without one."""

    rowid: int | None
    values: tuple[Value, ...]


class _DamagedError(Exception):
    """What is here is no row."""


@dataclass(frozen=True, slots=True)
class _Pages:
    """The pages of the file as its write-ahead log has them."""

    file: BinaryIO
    size: int
    usable: int
    count: int
    log: BinaryIO | None = None
    logged: dict[int, int] = field(default_factory=dict)

    def read(self, number: int) -> bytes:
        """The page of that number, from 1. Raises `_DamagedError` if it is not there whole."""
        at = self.logged.get(number)
        if self.log is not None and at is not None:
            page = _read_at(self.log, at, self.size)
        elif 1 <= number <= self.count:
            page = _read_at(self.file, (number - 1) * self.size, self.size)
        else:
            page = b""
        if len(page) < self.size:
            raise _DamagedError
        return page

    def numbers(self) -> range:
        """The numbers of all pages."""
        return range(1, max(self.count, *self.logged, 1) + 1)


def read_rows(path: Path) -> Iterator[Row]:
    """Every row that is still legible in the file at `path` and its write-ahead log.

    Of all tables and indexes, in the order of the pages, perhaps more than once, and with what
    a damage has made of them: the reader judges. Nothing is written anywhere. Raises `OSError`.
    """
    with _opened(path) as pages:
        yield from _rows(pages)


def missing_pages(path: Path) -> int:
    """How many pages the file had, by its header, behind the last that it has.

    0 if its header is not legible either. Raises `OSError`.
    """
    with _opened(path) as pages:
        try:
            header = pages.read(1)
        except _DamagedError:
            return 0
        had = int.from_bytes(header[28:32], "big") if header.startswith(MAGIC) else 0
        return max(0, had - max(pages.numbers()))


@contextmanager
def _opened(path: Path) -> Iterator[_Pages]:
    log_path = path.with_name(f"{path.name}-wal")
    with path.open("rb") as file, ExitStack() as stack:
        log = stack.enter_context(log_path.open("rb")) if log_path.exists() else None
        yield _open(file, log)


def _open(file: BinaryIO, log: BinaryIO | None) -> _Pages:
    header = _read_at(file, 0, 100)
    size, reserved = PAGE, 0
    if header[:16] == MAGIC and len(header) == 100:  # 1.3
        given = int.from_bytes(header[16:18], "big")
        given = 65536 if given == 1 else given
        if given >= 512 and given & (given - 1) == 0:
            size, reserved = given, header[20]
    logged = {} if log is None else _logged(log, size)
    return _Pages(file, size, size - reserved, file.seek(0, 2) // size, log, logged)


def _logged(log: BinaryIO, size: int) -> dict[int, int]:
    """Where in the write-ahead log the newest committed version of a page begins (4.1)."""
    header = _read_at(log, 0, 32)
    if len(header) < 32 or int.from_bytes(header[:4], "big") not in LOG_MAGIC:
        return {}
    committed: dict[int, int] = {}
    pending: dict[int, int] = {}
    at = 32
    # Its checksums are not asked: they would give up all that is behind one flipped bit.
    while len(frame := _read_at(log, at, 24)) == 24 and frame[8:16] == header[16:24]:
        number, pages = struct.unpack(">II", frame[:8])
        pending[number] = at + 24
        if pages:
            committed |= pending
            pending.clear()
        at += 24 + size
    return committed


def _rows(pages: _Pages) -> Iterator[Row]:
    free = _free_pages(pages)
    for number in pages.numbers():
        if number not in free:
            try:
                page = pages.read(number)
            except _DamagedError:
                continue
            yield from _rows_of(pages, page, 100 if number == 1 else 0)


def _free_pages(pages: _Pages) -> set[int]:
    """Pages that hold nothing any more, such as the records of a run that was pruned (1.5)."""
    free: set[int] = set()
    try:
        trunk = int.from_bytes(pages.read(1)[32:36], "big")
        while trunk and trunk not in free:
            page = pages.read(trunk)
            following, leaves = struct.unpack(">II", page[:8])
            if leaves > pages.usable // 4 - 2:
                break
            free |= {trunk, *struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves])}
            trunk = following
    except _DamagedError:
        pass  # what is known by now is; a row of a page that is not known to be free is judged
    return free


def _rows_of(pages: _Pages, page: bytes, start: int) -> Iterator[Row]:
    kind = page[start]
    if kind not in (INDEX_INNER, TABLE_LEAF, INDEX_LEAF):
        return
    first = start + (12 if kind == INDEX_INNER else 8)
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    for place in range(first, min(first + 2 * cells, pages.usable - 1), 2):
        try:
            yield _row(pages, page, kind, int.from_bytes(page[place : place + 2], "big"))
        except (_DamagedError, IndexError, UnicodeDecodeError, struct.error):
            continue  # the other rows of the page may be whole


def _row(pages: _Pages, page: bytes, kind: int, at: int) -> Row:
    at += 4 if kind == INDEX_INNER else 0
    size, at = _varint(page, at)
    rowid = None
    if kind == TABLE_LEAF:
        rowid, at = _varint(page, at)
    return Row(rowid, _values(_payload(pages, page, at, size, table=kind == TABLE_LEAF)))


def _payload(pages: _Pages, page: bytes, at: int, size: int, *, table: bool) -> bytes:
    """A cell's content, with what did not fit into the page (1.6)."""
    if size > LONGEST:
        raise _DamagedError
    usable = pages.usable
    most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
    if size <= most:
        local = size
    else:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = least if local > most else local
    if at + local > usable:
        raise _DamagedError
    parts = [page[at : at + local]]
    left = size - local
    following = int.from_bytes(page[at + local : at + local + 4], "big") if left else 0
    while left > 0:
        part = pages.read(following)
        following = int.from_bytes(part[:4], "big")
        parts.append(part[4 : 4 + min(left, usable - 4)])
        left -= usable - 4
    return b"".join(parts)


def _values(payload: bytes) -> tuple[Value, ...]:
    """A record's values (2.1)."""
    end, at = _varint(payload, 0)
    values: list[Value] = []
    body = end
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    if body != len(payload):
        raise _DamagedError
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind >= 12:
        end = at + (kind - 12) // 2
        content = payload[at:end]
        return (content.decode() if kind % 2 else content), end
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    match kind:
        case 0:
            return None, at
        case 7:
            return struct.unpack(">d", payload[at : at + 8])[0], at + 8
        case 8 | 9:
            return kind - 8, at
        case _:
            raise _DamagedError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to nine bytes, and where it ends (1.6)."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
