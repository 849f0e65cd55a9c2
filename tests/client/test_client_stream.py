"""One connection to a job's events, against a server that does what a script says."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from arkor.client.api import CloudApiClient
from arkor.client.sse import Frame, Oversize
from arkor.client.stream import (
    MAX_BATCH,
    MAX_WAITING,
    EventStream,
    NoStreamError,
    StreamBrokenError,
    StreamIdleError,
    StreamRefusedError,
)
from arkor.core.wire import Scope, frame
from arkor.errors import BackendUnreachableError, CloudApiError
from arkor.testing import (
    Answer,
    Call,
    Cut,
    Forever,
    Respond,
    ScriptedServer,
    Step,
    Until,
    Wait,
    event_stream,
)

SCOPE = Scope("my org", "p/q")
PATH = "/v1/jobs/{id}/events/stream"


@dataclass(frozen=True)
class Bearer:
    token: str = "secret-token-0123456789"


@asynccontextmanager
async def connect(
    server: ScriptedServer, *, last: str | None = None, idle: float = 5.0
) -> AsyncIterator[EventStream]:
    async with (
        CloudApiClient(server.url, Bearer()) as api,
        api.open_event_stream(SCOPE, "a/b c", last_event_id=last, idle_timeout=idle) as stream,
    ):
        yield stream


async def collect(
    server: ScriptedServer, *, last: str | None = None, idle: float = 5.0
) -> list[Frame | Oversize]:
    async with connect(server, last=last, idle=idle) as stream:
        return [event async for batch in stream.batches() for event in batch]


def follow(*answers: Respond, idle: float = 5.0) -> list[Frame | Oversize]:
    with ScriptedServer() as server:
        server.on("GET", PATH, *answers)
        return asyncio.run(collect(server, idle=idle))


def data(events: list[Frame | Oversize]) -> list[str]:
    return [event.data for event in events if isinstance(event, Frame)]


def test_events_arrive_and_a_clean_end_ends() -> None:
    events = follow(event_stream(frame("a", "1", "7"), frame("ping", ""), frame("end", "{}")))
    assert [(e.event, e.data, e.id) for e in events if isinstance(e, Frame)] == [
        ("a", "1", "7"),
        ("ping", "", None),
        ("end", "{}", None),
    ]


def test_the_request_is_what_the_protocol_says() -> None:
    with ScriptedServer() as server:
        server.on("GET", PATH, event_stream())
        asyncio.run(collect(server, last="née 7"))
        asyncio.run(collect(server))
        first, second = server.requests
    assert first.target == ("/v1/jobs/a%2Fb%20c/events/stream?orgSlug=my%20org&projectSlug=p%2Fq")
    assert first.headers["accept"] == "text/event-stream"
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["last-event-id"] == "née 7"
    assert first.headers["authorization"] == "Bearer secret-token-0123456789"
    assert first.headers["x-arkor-client"].startswith("arkor/")
    assert "last-event-id" not in second.headers


@pytest.mark.parametrize("last", ["", " 7", "7\t", "a\x0bb", "\x7f", "9" * 5000])
def test_an_id_that_no_header_carries_begins_anew(last: str) -> None:
    with ScriptedServer() as server:
        server.on("GET", PATH, event_stream())
        asyncio.run(collect(server, last=last))
        assert "last-event-id" not in server.requests[0].headers


@pytest.mark.parametrize(
    "kind", ["text/event-stream", "Text/Event-Stream ; charset=x", "TEXT/EVENT-STREAM;"]
)
def test_the_content_type_is_compared_by_its_essence(kind: str) -> None:
    assert data(follow(Answer(200, {"content-type": kind}, b"data:a\n\n"))) == ["a"]


@pytest.mark.parametrize("kind", ["text/event-stream-x", "x-text/event-stream", "text/html", ""])
def test_another_content_type_is_no_stream(kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    with pytest.raises(StreamRefusedError, match="200 with"):
        follow(Answer(200, headers, b"data:a\n\n"))


def test_an_unasked_compression_is_no_stream() -> None:
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    with pytest.raises(StreamRefusedError, match="gzip"):
        follow(Answer(200, headers, b"data:a\n\n"))


def test_204_is_no_stream_any_more() -> None:
    with pytest.raises(NoStreamError):
        follow(Answer(204))


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_a_refusal_carries_status_text_and_retry_after(status: int) -> None:
    with pytest.raises(CloudApiError) as caught:
        follow(Answer(status, {"retry-after": "7"}, b'{"error":"said so"}'))
    assert (caught.value.status, caught.value.code) == (status, "said so")
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_gives_what_came_first_and_then_breaks(reset: bool) -> None:
    async def run(server: ScriptedServer) -> list[str]:
        seen: list[str] = []
        async with connect(server) as stream:
            with pytest.raises(StreamBrokenError) as caught:
                async for batch in stream.batches():
                    seen.extend(data(batch))
                    arrived.set()
            assert caught.value.__cause__ is not None
        return seen

    arrived = threading.Event()
    with ScriptedServer() as server:
        steps: list[Step] = [frame("a", "1"), b"data: half", Until(arrived), Cut(reset=reset)]
        server.on("GET", PATH, event_stream(*steps))
        assert asyncio.run(run(server)) == ["1"]


def test_an_unreachable_backend() -> None:
    with ScriptedServer() as server:
        pass
    with pytest.raises(BackendUnreachableError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        asyncio.run(collect(server))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(before=(Forever(),)),
        event_stream(Forever()),
        event_stream(frame("a", "1"), Forever()),
        event_stream(b"data: half a fra", Forever()),
        Answer(503, {}, [b"{", Forever()]),
    ],
    ids=["no answer", "head only", "after an event", "half a frame", "half an error"],
)
def test_silence_is_found_soon_after_the_idle_time(answer: Answer) -> None:
    idle = 0.3
    began = time.monotonic()
    with pytest.raises((StreamIdleError, CloudApiError)):
        follow(answer, idle=idle)
    assert idle <= time.monotonic() - began < idle + 3.0


def test_a_byte_now_and_then_is_no_silence() -> None:
    steps: list[Step] = [step for _ in range(6) for step in (b":\n", Wait(0.25))]
    assert data(follow(event_stream(*steps, frame("a", "1")), idle=1.0)) == ["1"]


def test_a_slow_consumer_does_not_trip_the_watchdog_and_reading_goes_on() -> None:
    sent = threading.Event()

    async def run(server: ScriptedServer) -> list[str]:
        seen: list[str] = []
        async with connect(server, idle=1.0) as stream:
            async for batch in stream.batches():
                seen.extend(data(batch))
                if len(seen) == 1:
                    await asyncio.to_thread(sent.wait, 10)
                    await asyncio.sleep(1.2)
        return seen

    with ScriptedServer() as server:
        events = [frame("a", str(n)) for n in range(50)]
        server.on("GET", PATH, event_stream(events[0], Wait(0.05), *events[1:], Call(sent.set)))
        assert asyncio.run(run(server)) == [str(n) for n in range(50)]


def test_reading_stops_while_too_many_events_wait() -> None:
    count = 40_000
    block = b"".join(frame("a", f"{n:01000}") for n in range(count))
    pieces = [block[i : i + 65536] for i in range(0, len(block), 65536)]
    all_sent = threading.Event()

    async def run(server: ScriptedServer) -> int:
        seen = 0
        async with connect(server, idle=0.5) as stream:
            async for batch in stream.batches():
                assert len(batch) <= MAX_BATCH
                if not seen:
                    # Longer than the idle time: a reader that has paused is not idle.
                    await asyncio.sleep(1.0)
                    assert not all_sent.is_set()
                    assert len(stream._waiting) < MAX_WAITING + 65536 // 1000
                seen += len(batch)
        return seen

    with ScriptedServer() as server:
        server.on("GET", PATH, event_stream(*pieces, Call(all_sent.set)))
        assert asyncio.run(run(server)) == count


def test_everything_that_is_there_comes_as_one_batch() -> None:
    async def run(server: ScriptedServer) -> list[int]:
        async with connect(server) as stream:
            return [len(batch) async for batch in stream.batches()]

    with ScriptedServer() as server:
        server.on("GET", PATH, event_stream(frame("a", "1") * 1000))
        assert asyncio.run(run(server)) == [512, 488]


@pytest.mark.parametrize("leave", ["break", "raise", "cancel"])
def test_the_connection_is_closed_in_every_way_out(leave: str) -> None:
    gone = threading.Event()
    # Fills the socket until the other side has closed it.
    flood = [step for _ in range(400) for step in (b":" + b"x" * 65535 + b"\n", Wait(0.001))]

    def answer(_: object) -> Answer:
        return event_stream(frame("a", "1"), *flood, Call(gone.set))

    async def run(server: ScriptedServer) -> None:
        async with connect(server) as stream:
            async for _ in stream.batches():
                if leave == "raise":
                    raise LookupError
                if leave == "cancel":
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                    await asyncio.sleep(10)
                break

    async def check(server: ScriptedServer) -> None:
        try:
            await run(server)
        except (LookupError, asyncio.CancelledError):
            assert leave != "break"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    with ScriptedServer() as server:
        server.on("GET", PATH, answer)
        asyncio.run(check(server))
    assert not gone.is_set()


def test_redirects_are_followed_on_the_same_origin_only() -> None:
    with ScriptedServer() as server, ScriptedServer() as other:
        other.on("GET", "/elsewhere", event_stream(frame("a", "stolen")))
        server.on("GET", "/there", event_stream(frame("a", "1")))
        server.on("GET", PATH, Answer(307, {"location": "/there"}))
        assert data(asyncio.run(collect(server))) == ["1"]
        server.on("GET", PATH, Answer(302, {"location": f"{other.url}/elsewhere"}))
        with pytest.raises(CloudApiError, match="redirect that is not followed"):
            asyncio.run(collect(server))
        assert other.requests == []


def test_a_redirect_in_a_circle_ends() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/a", Answer(302, {"location": "/a"}))
        server.on("GET", PATH, Answer(302, {"location": "/a"}))
        with pytest.raises(CloudApiError):
            asyncio.run(collect(server))
        assert len(server.requests) == 6


def test_the_streams_own_delay_is_known() -> None:
    async def run(server: ScriptedServer) -> int | None:
        async with connect(server) as stream:
            async for _ in stream.batches():
                pass
            return stream.retry_ms

    with ScriptedServer() as server:
        server.on("GET", PATH, event_stream(b"retry: 2500\n\n", frame("a", "1")))
        assert asyncio.run(run(server)) == 2500
