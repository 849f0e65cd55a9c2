"""A job's events as a stream: what is stored first, then what comes, until the job has ended."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from arkor.backend.jobs import Jobs
from arkor.core.wire import frame

__all__ = ["Bell", "event_frames", "position"]

PAGE: Final = 500
"""Events that are read, and sent in one piece, at a time: all that a slow listener costs."""

PING: Final = frame("ping", "")
END: Final = frame("end", "{}")


class Bell:
    """Wakes those who wait for news of a job."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    def ring(self, job_id: str) -> None:
        """There is news of the job."""
        for listener in self._listeners.get(job_id, ()):
            listener.set()

    def close(self) -> None:
        """Send everybody home: the server stops."""
        self.closed = True
        for job_id in self._listeners:
            self.ring(job_id)

    @contextmanager
    def listen(self, job_id: str) -> Iterator[asyncio.Event]:
        """Within the block the event is set whenever there is news."""
        listener = asyncio.Event()
        self._listeners[job_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[job_id].discard(listener)
            if not self._listeners[job_id]:
                del self._listeners[job_id]


def position(jobs: Jobs, job_id: str, last_event_id: str | None) -> int:
    """The number of the event that `Last-Event-ID` names; 0 if there is no such event."""
    text = (last_event_id or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        return 0
    number = int(text)
    return number if number <= jobs.last_number(job_id) else 0


async def event_frames(
    jobs: Jobs, bell: Bell, job_id: str, *, after: int, ping_interval: float
) -> AsyncIterator[bytes]:
    """The frames of the events behind number `after`, many in a piece; the last is `end`.

    Without news there is a `ping` every `ping_interval` seconds. If the server stops, the
    stream ends without `end`, and the client comes back for the rest.
    """
    with bell.listen(job_id) as news:
        while not bell.closed:
            news.clear()
            if page := jobs.events(job_id, after=after, limit=PAGE):
                after = page[-1].number
                yield b"".join(frame(event.type, event.data, str(event.number)) for event in page)
                continue
            job = jobs.get(job_id)
            if job is None or job.terminal:
                yield END
                return
            try:
                await asyncio.wait_for(news.wait(), ping_interval)
            except TimeoutError:
                yield PING
