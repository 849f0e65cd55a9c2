"""A patient for the doctor: a store with runs, and what was found in it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from arkor.core.notes import SubmitRequested, Submitted, entry_of
from arkor.core.record import Entry
from arkor.runner.doctor import Finding, examine
from arkor.store.lease import Owner, current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import open_writer

NOT_OK = ("note", "warning", "problem")


def findings(*checks: str, **given: Any) -> list[Finding]:
    """What an examination finds in these checks; in all, if none is named."""
    found = asyncio.run(examine(**given))
    return [each for each in found if not checks or each.check in checks]


def finding(check: str, **given: Any) -> Finding:
    """The one finding of a check."""
    found = findings(check, **given)
    assert len(found) == 1, found
    return found[0]


def write_run(
    home: Path, name: str = "a run", *, owner: Owner | None = None, settled: bool = False
) -> str:
    """A run at a backend that is nowhere, with two events, as its owner would have recorded it."""
    project = {"org_slug": "o", "project_slug": "p", "project_root": "/p", "fingerprint": "f"}
    row = NewRun(name=name, job_id=f"job-{name}", status="running", **project)
    wish = SubmitRequested(
        name=name, config={}, idempotency_key="k", base_url="http://127.0.0.1:1", **project
    )
    job = {
        "id": f"job-{name}",
        "orgId": "o",
        "projectId": "p",
        "name": name,
        "status": "queued",
        "createdAt": "2026-11-24T10:00:00Z",
        "config": {},
    }
    events = [{"type": "training.started"}, {"type": "training.log", "step": 1, "loss": 0.5}]
    entries = [entry_of(wish), entry_of(Submitted(job))]
    entries += [
        Entry("stream", str(event["type"]), json.dumps(event), str(number))
        for number, event in enumerate(events, 1)
    ]
    writer = open_writer(home)
    with writer.transaction(durable=True) as tx:
        made = tx.create_run(row, entries, owner or current_owner())
        if settled:
            tx.append(made.run_id, [], epoch=made.epoch, index={"settled": True})
            tx.release(made.run_id, made.epoch)
    return row.run_id


def close(home: Path) -> None:
    """Close the journal, as the end of its last process would: its log is folded in."""
    open_writer(home).close()
