"""One line of a run's log, and the digest that chains it to the line before."""

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

__all__ = ["GENESIS", "Entry", "Record", "Source", "canonical", "chain", "digest_of", "form_of"]

Source = Literal["stream", "local"]

GENESIS: Final = bytes(32)
"""The `prev_digest` of the first record of every run."""

_MISSING: Final = b"\xff" * 8
_length: Final = struct.Struct(">Q").pack


# Tuples, since there are millions of them, and a frozen dataclass takes four times as long to make.
class Entry(NamedTuple):
    """What is to be appended: a record that has no place in the log yet."""

    source: Source
    type: str
    data: str
    sse_id: str | None = None


class Record(NamedTuple):
    """One appended fact of a run.

    `seq` counts from 1 without gaps. `source` is `stream` for one event of the backend, whose
    `data` is the text that came, and `local` for what this side did (`type` begins with
    `arkor.`). `sse_id` is the event's own id or `None`. `recorded_at` is RFC 3339, UTC, with
    microseconds. The digests are 32 bytes each.
    """

    run_id: str
    seq: int
    source: Source
    type: str
    sse_id: str | None
    data: str
    recorded_at: str
    prev_digest: bytes
    digest: bytes


def canonical(
    run_id: str,
    seq: int,
    source: str,
    type: str,
    sse_id: str | None,
    recorded_at: str,
    data: str,
) -> bytes:
    """The bytes a record's digest covers.

    Each field in this order is its UTF-8 text after the text's length in 8 bytes, big-endian;
    a missing field is eight bytes of ones and no text. A lone surrogate (which JSON's escapes
    cannot put on the wire, but a hostile sender may) is kept as it is, so the form is total.
    """
    number, text = _utf8(str(seq)), _utf8(data)
    return b"".join(
        (
            _repeated(run_id),
            _length(len(number)),
            number,
            _repeated(source),
            _repeated(type),
            _MISSING if sse_id is None else _field(sse_id),
            _repeated(recorded_at),
            _length(len(text)),
            text,
        )
    )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _field(text: str) -> bytes:
    encoded = _utf8(text)
    return _length(len(encoded)) + encoded


_repeated = lru_cache(maxsize=64)(_field)
"""The form of a text that the neighbours of a record have too; twice as fast for a whole log."""


def form_of(record: Record) -> bytes:
    """The canonical bytes of a record."""
    run_id, seq, source, kind, sse_id, data, recorded_at, _, _ = record
    return canonical(run_id, seq, source, kind, sse_id, recorded_at, data)


def digest_of(prev_digest: bytes, canonical_bytes: bytes) -> bytes:
    """SHA-256 over the previous digest and a record's canonical bytes."""
    return hashlib.sha256(prev_digest + canonical_bytes).digest()


def chain(
    run_id: str, entries: Iterable[Entry], *, after: int, prev_digest: bytes, recorded_at: str
) -> list[Record]:
    """Give `entries` their places in the log behind record `after`, whose digest is given."""
    records: list[Record] = []
    for seq, entry in enumerate(entries, after + 1):
        form = canonical(
            run_id, seq, entry.source, entry.type, entry.sse_id, recorded_at, entry.data
        )
        digest = digest_of(prev_digest, form)
        records.append(
            Record(
                run_id,
                seq,
                entry.source,
                entry.type,
                entry.sse_id,
                entry.data,
                recorded_at,
                prev_digest,
                digest,
            )
        )
        prev_digest = digest
    return records
