"""A run's records sent as they are recorded: `text/event-stream`, from the journal."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from itertools import islice
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

from arkor.core.record import Record
from arkor.core.wire import TERMINAL_STATUSES, frame
from arkor.runner.shapes import is_left, record_json
from arkor.store.journal import Journal
from arkor.studio.answers import finite
from arkor.studio.bodies import number_of
from arkor.studio.state import Studio, studio_of

__all__ = ["events"]

PAGE: Final = 500
"""Records that are read, and sent in one piece, at a time: all that a slow listener costs."""

POLL: Final = 0.2
"""Seconds between two looks at a quiet log."""

PING_EVERY: Final = 15.0
"""Seconds of silence after which a comment says that the stream is still there."""


async def events(request: Request) -> StreamingResponse:
    """The records behind `Last-Event-ID`, or behind `?after=`, and those still to come.

    Each is an event `record` whose id is its `seq`. After the last one of a run that has ended
    and is not delivered any more comes an event `end`; a stream that breaks off without it is to
    be asked for again.
    """
    studio = studio_of(request)
    last = request.headers.get("last-event-id", "")
    after = int(last) if _is_place(last) else number_of(request, "after", 0)
    run_id = await asyncio.to_thread(studio.journal.resolve, request.path_params["id"])
    # Whoever asks for a run whose records are gone is told so, by a status.
    await asyncio.to_thread(_page, studio.journal, run_id, after)
    return StreamingResponse(
        _frames(studio, run_id, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )


async def _frames(studio: Studio, run_id: str, after: int) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    journal, said = studio.journal, time.monotonic()
    while not studio.closing.is_set():
        # Asked first: the page that is read then has the end.
        over = await asyncio.to_thread(_is_over, journal, run_id)
        page = await asyncio.to_thread(_page, journal, run_id, after)
        if page:
            after, said = page[-1].seq, time.monotonic()
            yield b"".join(map(_frame, page))
        elif over:
            yield frame("end", "{}")
            return
        else:
            if time.monotonic() - said > PING_EVERY:
                said = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(POLL)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _page(journal: Journal, run_id: str, after: int) -> list[Record]:
    return list(islice(journal.records(run_id, after=after, limit=PAGE), PAGE))


def _is_over(journal: Journal, run_id: str) -> bool:
    row = journal.row(run_id)
    if row.status not in (*TERMINAL_STATUSES, "refused"):
        return False
    lease = journal.lease(run_id)
    return row.settled or lease is None or is_left(lease) or lease.state != "active"


def _frame(record: Record) -> bytes:
    data = json.dumps(finite(record_json(record)), separators=(",", ":"))
    return frame("record", data, str(record.seq))
