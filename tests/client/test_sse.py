"""Every case of the event-stream rules, in every chunking; and what has no case: caps, liveness."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.client.sse import EventDecoder, Frame, Oversize

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "sse-cases.json").read_text()
)["cases"]


def chunkings(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    yield [data[i : i + 4096] for i in range(0, len(data), 4096)]
    cuts = range(len(data) + 1) if len(data) <= 512 else range(0, len(data), len(data) // 97)
    for cut in cuts:
        yield [data[:cut], b"", data[cut:]]


def events(decoder: EventDecoder, chunks: Iterable[bytes]) -> list[Frame | Oversize]:
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def as_whatwg(frames: list[Frame | Oversize], last_event_id: str) -> list[dict[str, Any]]:
    """What an EventSource would dispatch: its `id` is the sticky one."""
    seen = []
    for frame in frames:
        assert isinstance(frame, Frame)
        last_event_id = last_event_id if frame.id is None else frame.id
        seen.append(
            {
                "event": frame.event,
                "data": frame.data,
                "id": last_event_id,
                "retry": frame.retry,
            }
        )
    return seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case_in_every_chunking(case: dict[str, Any]) -> None:
    data = base64.b64decode(case["input_base64"])
    held = case["initial_last_event_id"]
    for chunks in chunkings(data):
        decoder = EventDecoder(last_event_id=held)
        assert as_whatwg(events(decoder, chunks), held) == case["expected"]
        assert decoder.last_event_id == case["final_last_event_id"]
        assert decoder.retry_ms == case["final_reconnection_time"]


def test_there_are_75_cases() -> None:
    assert len({case["name"] for case in CASES}) == 75


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_given_before_the_next_byte_comes(ending: bytes) -> None:
    decoder = EventDecoder()
    assert [event.data for event in decoder.feed(b"data:a" + ending * 2)] == ["a"]
    assert [event.data for event in decoder.feed(b"data:b" + ending * 2)] == ["b"]


def test_an_id_is_the_frames_own() -> None:
    decoder = EventDecoder()
    frames = decoder.feed(b"id:1\ndata:a\n\ndata:b\n\nid:\ndata:c\n\nid:x\0\ndata:d\n\n")
    assert [frame.id for frame in frames] == ["1", None, "", None]
    assert decoder.last_event_id == ""


def test_an_id_counts_once_its_block_has_ended() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"id:7\n") == []
    assert decoder.last_event_id == ""
    assert decoder.feed(b"\n") == []
    assert decoder.last_event_id == "7"


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
@pytest.mark.parametrize("lines", [1, 3])
def test_too_much_data_is_measured_and_the_stream_goes_on(size: int, lines: int) -> None:
    value = bytes(range(32, 127)) * 20
    block = b"id: 5\nevent: big\n" + (b"data: " + value + b"\n") * lines + b"\n"
    stream = block + b"id:6\ndata:after\n\n"
    decoder = EventDecoder(max_event_bytes=1000)
    seen = events(decoder, [stream[i : i + size] for i in range(0, len(stream), size)])
    whole = b"\n".join([value] * lines)
    assert seen == [
        Oversize(len(whole), hashlib.sha256(whole).hexdigest(), "5", "big"),
        Frame("message", "after", "6", None, len(b"id:6\ndata:after\n")),
    ]


def test_the_digest_covers_the_bytes_as_received() -> None:
    value = b"\xff\xfe" * 40
    [event] = EventDecoder(max_event_bytes=50).feed(b"data:" + value + b"\n\n")
    assert event == Oversize(80, hashlib.sha256(value).hexdigest(), None, "message")


@pytest.mark.parametrize("field", [b":", b"event: ", b"id: ", b"unknown: ", b"retry: "])
def test_a_line_too_long_to_keep_is_dropped_alone(field: bytes) -> None:
    decoder = EventDecoder(max_event_bytes=100)
    stream = b"\xef\xbb\xbf" + field + b"9" * 5000 + b"\ndata:a\n\n"
    seen = events(decoder, [stream[i : i + 10] for i in range(0, len(stream), 10)])
    assert [event.data for event in seen if isinstance(event, Frame)] == ["a"]


def test_memory_stays_below_the_cap_however_long_a_line_is() -> None:
    decoder = EventDecoder(max_event_bytes=1 << 16)
    decoder.feed(b"data:")
    for _ in range(256):
        decoder.feed(b"x" * 4096)
        assert len(decoder._partial) <= 2 << 16
    [event] = decoder.feed(b"\n\n")
    assert isinstance(event, Oversize)
    assert event.length == 256 * 4096


PIECES = [
    b"data", b"data:", b"data: ", b"id", b"id:", b"event:", b"retry:", b":", b"\n", b"\r", b"\r\n",
    b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb", b"\xbf", b"\0", b"7", b"x", b"\xff", "é\u2028".encode(),
    b"long" * 12,
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.data())
def test_no_chunking_changes_what_comes_out(stream: bytes, draw: st.DataObject) -> None:
    whole, cut = EventDecoder(max_event_bytes=40), EventDecoder(max_event_bytes=40)
    expected = whole.feed(stream)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert events(cut, chunks) == expected
    assert (cut.last_event_id, cut.retry_ms) == (whole.last_event_id, whole.retry_ms)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(stream: bytes) -> None:
    for event in EventDecoder(max_event_bytes=50).feed(stream):
        assert event.id is None or "\0" not in event.id
