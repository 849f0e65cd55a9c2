"""One connection to a job's events: read as they come, handed over in batches."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx

from arkor.client.addresses import path_of
from arkor.client.sse import EventDecoder, Frame, Oversize
from arkor.client.transport import HasTransport, Request
from arkor.core.wire import Scope
from arkor.errors import ArkorError, BackendUnreachableError

__all__ = [
    "EventStream",
    "NoStreamError",
    "StreamBrokenError",
    "StreamError",
    "StreamIdleError",
    "StreamRefusedError",
    "open_events",
]

MAX_WAITING: Final = 2048
"""Events that may wait for the consumer before reading stops."""

MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
MAX_BATCH: Final = 512
LONGEST_ID: Final = 4096

_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$")


class StreamError(ArkorError):
    """A connection that brought no more events, or none; another may."""


class StreamIdleError(StreamError):
    """Not a byte came for as long as the watchdog waits."""


class StreamBrokenError(StreamError):
    """The connection broke in the middle of the stream."""


class StreamRefusedError(StreamError):
    """The answer is not an event stream; counted as a failed connection."""


class NoStreamError(ArkorError):
    """204: there is nothing to follow any more."""


class EventStream:
    """The events of one connection.

    A task of its own reads them, and stops reading while many wait. So a slow consumer costs no
    memory, and only silence on a socket that is being read counts as idle.
    """

    def __init__(self, response: httpx.Response, host: str, idle_timeout: float) -> None:
        self.status = response.status_code
        self._response = response
        self._host = host
        self._idle_timeout = idle_timeout
        self._decoder = EventDecoder()
        self._waiting: deque[Frame | Oversize] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._failure: ArkorError | None = None

    @property
    def retry_ms(self) -> int | None:
        """The reconnection time that the stream asked for last, in milliseconds."""
        return self._decoder.retry_ms

    async def batches(self) -> AsyncIterator[list[Frame | Oversize]]:
        """Everything that has arrived, up to 512 at a time; ends when the backend closed cleanly.

        Pings are among them. After the last event that came it raises `StreamIdleError` if then
        nothing did for too long, `StreamBrokenError` if the connection broke.
        """
        while True:
            if batch := self._take():
                yield batch
            elif self._failure is not None:
                raise self._failure
            elif self._ended:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    def _take(self) -> list[Frame | Oversize]:
        count = min(len(self._waiting), MAX_BATCH)
        batch = [self._waiting.popleft() for _ in range(count)]
        self._waiting_bytes -= sum(map(_size, batch))
        self._room.set()
        return batch

    async def read(self) -> None:
        """Read until the stream ends, however it does; run by `open_events`."""
        try:
            async for chunk in self._response.aiter_raw():
                self._put(self._decoder.feed(chunk))
                while self._full:
                    self._room.clear()
                    await self._room.wait()
        except httpx.ReadTimeout as error:
            self._failure = _idle(self._host, self._idle_timeout)
            self._failure.__cause__ = error
        except httpx.TransportError as error:
            self._failure = StreamBrokenError(
                f"the event stream of {self._host} broke off: {error or type(error).__name__}"
            )
            self._failure.__cause__ = error
        finally:
            self._ended = True
            self._changed.set()

    def _put(self, events: list[Frame | Oversize]) -> None:
        if events:
            self._waiting.extend(events)
            self._waiting_bytes += sum(map(_size, events))
            self._changed.set()

    @property
    def _full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES


@asynccontextmanager
async def open_events(
    api: HasTransport,
    scope: Scope,
    job_id: str,
    *,
    last_event_id: str | None = None,
    idle_timeout: float = 90.0,
) -> AsyncIterator[EventStream]:
    """Connect once to the events of a job, after `last_event_id`; closed in every way out.

    Raises `CloudApiError` for a refusal, `NoStreamError` for 204, `BackendUnreachableError`,
    `StreamRefusedError` for an answer that is no event stream, and `StreamIdleError` if there is
    no answer within `idle_timeout` seconds.
    """
    host = api.transport.host
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(idle_timeout):
                response = await stack.enter_async_context(
                    api.transport.open(_request(scope, job_id, last_event_id, idle_timeout))
                )
        except TimeoutError as error:
            raise _idle(host, idle_timeout) from error
        except BackendUnreachableError as error:
            if isinstance(error.__cause__, httpx.ReadTimeout):
                raise _idle(host, idle_timeout) from error
            raise
        _check(response, host)
        stream = EventStream(response, host, idle_timeout)
        reader = asyncio.create_task(stream.read(), name=f"arkor-events-{job_id}")
        stack.push_async_callback(_stop, reader)
        yield stream


async def _stop(reader: asyncio.Task[None]) -> None:
    reader.cancel()
    await asyncio.wait([reader])
    if not reader.cancelled() and (error := reader.exception()):
        raise error


def _request(scope: Scope, job_id: str, last_event_id: str | None, idle_timeout: float) -> Request:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    # Without the header the backend begins anew, which costs time but no event.
    if last_event_id and len(last_event_id) <= LONGEST_ID and not _UNSENDABLE.search(last_event_id):
        headers["Last-Event-ID"] = last_event_id
    return Request(
        "GET",
        path_of("v1", "jobs", job_id, "events", "stream"),
        scope.to_query(),
        headers,
        read_timeout=idle_timeout,
    )


def _check(response: httpx.Response, host: str) -> None:
    if response.status_code == 204:
        raise NoStreamError(f"{host} has no more events of this job (204)")
    kind = response.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        raise StreamRefusedError(
            f"{host} answered {response.status_code} with {kind or 'no content type'}, "
            "not with text/event-stream; is there a proxy or a sign-in page in between?"
        )
    coding = response.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise StreamRefusedError(f"{host} compressed the event stream ({coding}), unasked")


def _idle(host: str, seconds: float) -> StreamIdleError:
    return StreamIdleError(f"nothing came from {host} for {seconds:g} s")


def _size(event: Frame | Oversize) -> int:
    return event.size if isinstance(event, Frame) else 0
