"""Runs as an owner would have recorded them, without one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arkor.core.notes import SubmitRequested, Submitted, entry_of
from arkor.core.record import Entry
from arkor.store.owner import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import open_writer

NOTHING: Mapping[str, Any] = {}


def stream(type: str, **fields: Any) -> Entry:
    return Entry("stream", type, json.dumps({"type": type, **fields}), fields.get("id"))


def write_run(
    home: Path,
    root: Path,
    name: str,
    *events: Entry,
    status: str = "running",
    provenance: Mapping[str, Any] = NOTHING,
) -> str:
    """A run with a job and `events`, as an owner would have recorded it."""
    job = {
        "id": f"job-{name}",
        "orgId": "o",
        "projectId": "p",
        "name": name,
        "status": "queued",
        "createdAt": "2026-11-24T10:00:00Z",
        "config": {"model": "arkor/tiny"},
    }
    row = NewRun(
        name=name,
        project_root=str(root),
        org_slug="o",
        project_slug="p",
        fingerprint="f",
        job_id=f"job-{name}",
        status=status,
    )
    wish = SubmitRequested(
        name=name,
        config={"model": "arkor/tiny"},
        fingerprint="f",
        idempotency_key="k",
        base_url="http://127.0.0.1:1",
        org_slug="o",
        project_slug="p",
        project_root=str(root),
        consumers=("main",),
        provenance=provenance,
    )
    home.mkdir(mode=0o700, exist_ok=True)
    entries = [entry_of(wish), entry_of(Submitted(job)), *events]
    with open_writer(home).transaction(durable=True) as tx:
        return tx.create_run(row, entries, current_owner()).run_id
