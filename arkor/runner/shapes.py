"""Runs and their records as JSON: what `--json` prints is what Studio's API answers."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from arkor.core.owners import RecordedOwner
from arkor.core.record import Record
from arkor.core.state import RunState

if TYPE_CHECKING:
    from arkor.store.journal import Journal, RunRow
    from arkor.store.lease import Lease

__all__ = [
    "consumers_of",
    "is_left",
    "is_orphan",
    "lease_json",
    "lease_of",
    "owner_json",
    "record_json",
    "run_json",
    "state_json",
]


def run_json(row: "RunRow", lease: "Lease | None") -> dict[str, Any]:
    """A run as listed; `lease` as `lease_of` gives it."""
    return {
        "runId": row.run_id,
        "jobId": row.job_id,
        "name": row.name,
        "status": row.status,
        "settled": row.settled,
        "pruned": row.pruned,
        "createdAt": row.created_at,
        "projectRoot": row.project_root,
        "runKey": row.run_key,
        "owner": lease_json(lease),
    }


def state_json(state: RunState, lease: "Lease | None") -> dict[str, Any]:
    """What a run's log adds up to; `lease` as `lease_of` gives it."""
    return {
        "runId": state.run_id,
        "jobId": state.job_id,
        "name": state.name,
        "status": state.status,
        "settled": state.settled,
        "config": state.config,
        "job": state.job.to_wire() if state.job else None,
        "artifacts": state.artifacts,
        "latest": state.latest,
        "checkpoints": state.checkpoints,
        "counts": state.counts,
        "records": state.records,
        "lastEventId": state.last_event_id,
        "owner": lease_json(lease),
        "consumers": list(_consumers(state)),
        "head": state.head.hex(),
        "provenance": state.provenance,
    }


def record_json(record: Record) -> dict[str, Any]:
    """One record; `data` is what its JSON says, or its text where it is no JSON."""
    return {
        "seq": record.seq,
        "source": record.source,
        "type": record.type,
        "id": record.sse_id,
        "recordedAt": record.recorded_at,
        "data": _data(record.data),
        "digest": record.digest.hex(),
    }


def owner_json(owner: RecordedOwner) -> dict[str, Any]:
    """One of those who had a run, and with which code."""
    return {
        "seq": owner.seq,
        "recordedAt": owner.recorded_at,
        "how": owner.how,
        "clean": owner.clean,
        "consumers": list(owner.consumers),
        "provenance": owner.provenance,
    }


def lease_json(lease: "Lease | None") -> dict[str, Any] | None:
    """Who follows a run at the moment. `state` is `active`, `idle` or `orphan`."""
    if lease is None:
        return None
    state = "orphan" if is_orphan(lease) else lease.state
    return {"host": lease.owner.host, "pid": lease.owner.pid, "state": state}


def lease_of(journal: "Journal", row: "RunRow") -> "Lease | None":
    """The lease of a run, unless nothing is owed of it any more."""
    lease = None if row.settled else journal.lease(row.run_id)
    return None if lease is None or lease.state == "released" else lease


def is_left(lease: "Lease") -> bool:
    """Whether nobody keeps the run: it was given up, or its process has died or stalled."""
    return lease.state == "released" or is_orphan(lease)


def is_orphan(lease: "Lease") -> bool:
    """Whether nobody waits on the run: its process has ended or stalled, as far as can be told."""
    from arkor.store.lease import current_owner

    return lease.gone(current_owner(), time.time())


def consumers_of(state: RunState) -> list[str]:
    """The names of the callback sets that a run has or had, in order."""
    return sorted({*state.consumers, *state.named})


def _consumers(state: RunState) -> Iterator[dict[str, Any]]:
    for name in consumers_of(state):
        consumer = state.consumer(name)
        yield {
            "name": name,
            "cursor": consumer.cursor,
            "attempt": consumer.attempt,
            "failures": consumer.failures,
        }


def _data(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
