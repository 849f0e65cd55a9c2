"""Logs as the tests write them: entries in, records out."""

import json
from typing import Any

from arkor.core.notes import Note, SubmitRequested, Submitted, entry_of
from arkor.core.record import GENESIS, Entry, Record, chain

AT = "2026-01-01T00:00:00.000000Z"
JOB: dict[str, Any] = {
    "id": "job-1",
    "orgId": "org-1",
    "projectId": "project-1",
    "name": "a run",
    "status": "queued",
    "config": {"model": "m"},
    "createdAt": AT,
}


def wish(*consumers: str) -> SubmitRequested:
    """The wish for a run of these consumers."""
    return SubmitRequested("a run", {"model": "m"}, "f", "K", "u", "o", "p", "/r", consumers)


def event(type: str, id: str | None = None, **payload: Any) -> Entry:
    """One event of the stream."""
    return Entry("stream", type, json.dumps({"type": type, "jobId": "job-1", **payload}), id)


def log_of(*items: Entry | Note) -> list[Record]:
    """The records of these entries and notes."""
    entries = [item if isinstance(item, Entry) else entry_of(item) for item in items]
    return chain("RUN", entries, after=0, prev_digest=GENESIS, recorded_at=AT)


def accepted(*items: Entry | Note, consumers: tuple[str, ...] = ("main",)) -> list[Record]:
    """The log of a run that the backend has accepted: two records, then `items`."""
    return log_of(wish(*consumers), Submitted(JOB), *items)
