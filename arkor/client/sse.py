"""Bytes of an event stream in, events out (WHATWG HTML, 9.2.5 and 9.2.6).

httpx-sse reads the fields of an event. Around it stands what it leaves open: lines are cut from
bytes, so that a lone CR ends one at once and no charset is believed; a block without data is no
event; an event's own id is told from an earlier one's; `retry` is ASCII digits or nothing; and
what grows without end is measured, not kept.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from httpx_sse import ServerSentEvent
from httpx_sse._decoders import SSEDecoder

__all__ = ["MAX_EVENT_BYTES", "EventDecoder", "Frame", "Oversize"]

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_DIGITS: Final = re.compile(rb"[0-9]+")
_MAX_RETRY_MS: Final = 10**15


class Frame(NamedTuple):
    """One event. `event` is `message` where the sender named none.

    `id` is this event's own: `None` if it has none, `""` if it resets the last one. `retry` is in
    milliseconds. `size` is what its fields took on the wire, in bytes.
    """

    event: str
    data: str
    id: str | None
    retry: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Oversize:
    """An event too large to keep: the length and the hex SHA-256 of its data as received."""

    length: int
    digest: str
    id: str | None
    event: str


class EventDecoder:
    """Cuts one connection's bytes into events. Never raises, whatever comes.

    An event whose fields take more than `max_event_bytes` on the wire is not kept.
    `last_event_id` is what the stream says to send back (sticky, as WHATWG has it); `retry_ms`
    is the latest reconnection time, or `None`.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, *, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._max = max_event_bytes
        self._block = _Block(max_event_bytes)
        self._partial = bytearray()
        self._spilling = False
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Frame | Oversize]:
        """Take what arrived; give the events that it completes."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        # bytes.splitlines cuts at LF, CR and CRLF and, unlike that of str, at nothing else.
        lines = chunk.splitlines()
        tail = b"" if chunk[-1:] in (b"\r", b"\n") else lines.pop()
        self._after_cr = chunk.endswith(b"\r")
        events: list[Frame | Oversize] = []
        for line in lines:
            if self._partial or self._spilling or self._at_start:
                line = self._complete(line)
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        if tail:
            self._hold(tail)
        return events

    def _complete(self, rest: bytes) -> bytes:
        """The whole line that `rest` ends; a comment for one that was too long to keep."""
        if self._spilling:
            self._block.spill(rest)
            self._spilling = False
            return b":"
        line = self._without_bom(bytes(self._partial) + rest)
        self._partial.clear()
        return line

    def _hold(self, tail: bytes) -> None:
        if self._spilling:
            self._block.spill(tail)
            return
        self._partial += tail
        if len(self._partial) > self._max + len(_BOM + b"data: "):
            self._block.start_spill(self._without_bom(bytes(self._partial)))
            self._partial.clear()
            self._spilling = True

    def _without_bom(self, line: bytes) -> bytes:
        if not self._at_start:
            return line
        self._at_start = False
        return line.removeprefix(_BOM)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._block.add_data(line)
        elif len(line) > self._max:
            return
        elif name == b"event":
            self._block.event = line
        elif name == b"id" and b"\0" not in value:
            self._block.id = line
        elif name == b"retry" and _DIGITS.fullmatch(value.removeprefix(b" ")):
            self.retry_ms = self._block.retry = _milliseconds(value.removeprefix(b" "))

    def _dispatch(self) -> Frame | Oversize | None:
        block = self._block
        if block.blank:
            return None
        self._block = _Block(self._max)
        event, own_id = block.read()
        if own_id is not None:
            self.last_event_id = own_id
        return event


class _Block:
    """The fields between two blank lines, as raw lines; too much data is only measured."""

    __slots__ = ("_data", "_digest", "_length", "_max", "_open", "_size", "event", "id", "retry")

    def __init__(self, max_bytes: int) -> None:
        self.event = b""
        self.id = b""
        self.retry: int | None = None
        self._data: list[bytes] = []
        self._digest: hashlib._Hash | None = None
        self._length = -1  # of the data; the LF before each line makes up for it
        self._max = max_bytes
        self._open = False
        self._size = 0

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it that a blank line could dispatch."""
        return not (self._size or self.id or self.event or self.retry is not None)

    def add_data(self, line: bytes) -> None:
        """Take a whole `data` line, with its field name."""
        self._size += len(line) + 1
        self._length += len(_value(line)) + 1
        if self._digest is not None:
            self._digest.update(b"\n" + _value(line))
            return
        self._data.append(line)
        if self._size > self._max:
            self._digest = hashlib.sha256(b"\n".join(map(_value, self._data)))
            self._data.clear()

    def start_spill(self, line: bytes) -> None:
        """Take the beginning of a line that is too long by itself already."""
        self._open = line.startswith(b"data:")
        if self._open:
            self.add_data(line)

    def spill(self, piece: bytes) -> None:
        """Take more of that line. Of a field other than `data`, or a comment, nothing is kept."""
        if self._open and self._digest is not None:
            self._size += len(piece)
            self._length += len(piece)
            self._digest.update(piece)

    def read(self) -> tuple[Frame | Oversize | None, str | None]:
        """The event in it, if it is one, and its own id, if it has one."""
        fields = SSEDecoder()
        for line in (self.id, self.event, *self._data):
            if line:
                fields.decode(line.decode("utf-8", "replace"))
        # Where neither event, id nor data has text, httpx-sse has nothing to tell.
        read = fields.decode("") or ServerSentEvent()
        own_id = read.id if self.id else None
        if self._digest is not None:
            return Oversize(self._length, self._digest.hexdigest(), own_id, read.event), own_id
        if not self._data:
            return None, own_id
        size = self._size + sum(len(line) + 1 for line in (self.id, self.event) if line)
        return Frame(read.event, read.data, own_id, self.retry, size), own_id


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].removeprefix(b" ")


def _milliseconds(digits: bytes) -> int:
    # int() refuses text of more than 4,300 digits; no one waits longer than the cap anyway.
    return min(int(digits.lstrip(b"0")[:17] or b"0"), _MAX_RETRY_MS)
