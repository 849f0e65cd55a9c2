"""The measurement of an event stream: whether something on the way holds it back.

A proxy that buffers passes a stream on in pieces of some kilobytes, or at its end. So a small
piece is asked for of a stream that does not end: the last event that is known of a run under
way. Whatever the way is like, it is at the backend already.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from arkor.client.addresses import path_of
from arkor.client.transport import Request, Transport
from arkor.core.fold import fold_all
from arkor.core.wire import TERMINAL_STATUSES, Scope
from arkor.errors import ArkorError
from arkor.runner.doctor_backend import Way
from arkor.runner.doctor_finding import Finding
from arkor.runner.doctor_runs import unfinished_runs
from arkor.store.journal import Journal, RunRow
from arkor.store.survey import newest_sse_ids

__all__ = ["examine_stream"]

ENDLESS: Final = 0.3
"""Seconds for which a stream must stay open after its first bytes to count as one under way."""

FIRST: Final = 3
"""Records among which a run says where it is."""

UNBUFFER: Final = (
    "turn buffering off for /v1/jobs/*/events/stream in the proxy (nginx: `proxy_buffering off;`), "
    "or add the backend's host to NO_PROXY"
)
AGAIN: Final = "`arkor doctor` again while a run is training"


@dataclass(frozen=True, slots=True)
class _Job:
    """A run under way, and the id of the event before its last known one."""

    job_id: str
    scope: Scope
    after: str | None


async def examine_stream(
    way: Way, journal: Path | None, http: httpx.AsyncClient, timeout: float
) -> Finding:
    """How long an event takes through the stream, at most `timeout` seconds; or why none did."""
    try:
        job = await asyncio.to_thread(_find_job, journal, way.address)
        if job is None:
            return _not_measured(f"no run is under way at {way.address}")
        async with asyncio.timeout(timeout):
            return await _measure(Transport(way.url, way.identity, http=http), job)
    except TimeoutError:
        return Finding(
            "backend.stream",
            "warning",
            f"an event that the backend has did not come through its stream within {timeout:g} s: "
            "something on the way holds it back",
            UNBUFFER,
        )
    except (ArkorError, OSError) as error:
        return _not_measured(str(error))


def _not_measured(why: str) -> Finding:
    return Finding("backend.stream", "note", f"streams were not measured: {why}", AGAIN)


def _find_job(path: Path | None, address: str) -> _Job | None:
    if path is None or not path.exists():
        return None
    with closing(Journal(path)) as journal:
        for row, _ in unfinished_runs(journal):
            if _is_streaming(journal, row, address) and (
                ids := newest_sse_ids(path, row.run_id, 2)
            ):
                assert row.job_id is not None
                scope = Scope(row.org_slug, row.project_slug)
                return _Job(row.job_id, scope, ids[1] if len(ids) > 1 else None)
    return None


def _is_streaming(journal: Journal, row: RunRow, address: str) -> bool:
    if row.job_id is None or row.status in TERMINAL_STATUSES:
        return False
    return fold_all(journal.records(row.run_id, limit=FIRST)).address == address


async def _measure(transport: Transport, job: _Job) -> Finding:
    began = time.monotonic()
    try:
        async with transport.open(_request(job)) as response:
            if wrong := _no_stream(response.headers):
                return wrong
            pieces = response.aiter_raw()
            if await anext(pieces, None) is not None:
                took = (time.monotonic() - began) * 1000
                if await _stays_open(pieces):
                    what = f"an event comes through its stream in {took:.0f} ms"
                    return Finding("backend.stream", "ok", what)
    except httpx.TransportError as error:
        return _not_measured(f"the stream broke off ({error or type(error).__name__})")
    return _not_measured("the run's stream has ended, and then every proxy lets go of it")


def _request(job: _Job) -> Request:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if job.after is not None:
        headers["Last-Event-ID"] = job.after
    path = path_of("v1", "jobs", job.job_id, "events", "stream")
    return Request("GET", path, job.scope.to_query(), headers)


def _no_stream(headers: Mapping[str, str]) -> Finding | None:
    kind = headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() == "text/event-stream":
        return None
    return Finding(
        "backend.stream",
        "warning",
        f"an event stream was asked for, and {kind or 'something without a type'} came: "
        "is there a proxy or a sign-in page in between?",
        UNBUFFER,
    )


async def _stays_open(pieces: AsyncIterator[bytes]) -> bool:
    try:
        async with asyncio.timeout(ENDLESS):
            async for _ in pieces:
                pass
    except TimeoutError:
        return True
    return False
