"""Studio in this process, and runs for it as an owner would have recorded them."""

import json
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from arkor.core.notes import SubmitRequested, Submitted, entry_of
from arkor.core.record import Entry
from arkor.core.wire import TERMINAL_STATUSES
from arkor.store.owner import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import open_writer
from arkor.studio import create_app
from arkor.studio.access import Access

TOKEN = "the-token-of-this-launch"
KEY = b"k" * 32
HERE = "http://localhost:4000"


def access() -> Access:
    return Access(TOKEN, KEY)


def browser(home: Path, *, project_root: Path | None = None, base_url: str = HERE) -> TestClient:
    """A browser that has used the address which was printed."""
    handed_out = access()
    app = create_app(home=home, project_root=project_root or home.parent, access=handed_out)
    client = TestClient(app, base_url=base_url, raise_server_exceptions=False)
    assert client.get(f"/?token={handed_out.ticket}").status_code == 200
    client.headers["Origin"] = base_url
    return client


def stream(type: str, **fields: Any) -> Entry:
    return Entry("stream", type, json.dumps({"type": type, **fields}), fields.get("id"))


def write_run(home: Path, name: str, *events: Entry, status: str = "running") -> str:
    """A run with a job and `events`; this process has it until it has ended."""
    job = {
        "id": f"job-{name}",
        "orgId": "o",
        "projectId": "p",
        "name": name,
        "status": "queued",
        "createdAt": "2026-11-24T10:00:00Z",
        "config": {"model": "arkor/tiny", "maxSteps": 40},
    }
    row = NewRun(
        name=name,
        project_root=str(home.parent),
        org_slug="o",
        project_slug="p",
        fingerprint="f",
        job_id=f"job-{name}",
        status=status,
    )
    wish = SubmitRequested(
        name=name,
        config={"model": "arkor/tiny", "maxSteps": 40},
        fingerprint="f",
        idempotency_key="k",
        base_url="http://127.0.0.1:1",
        org_slug="o",
        project_slug="p",
        project_root=str(home.parent),
        consumers=(),
    )
    home.mkdir(mode=0o700, exist_ok=True)
    entries = [entry_of(wish), entry_of(Submitted(job)), *events]
    with open_writer(home).transaction(durable=True) as tx:
        run_id = tx.create_run(row, entries, current_owner()).run_id
        if status in TERMINAL_STATUSES:
            tx.append(run_id, [], epoch=None, index={"settled": True})
    return run_id


def log(step: int, **more: Any) -> Entry:
    return stream("training.log", step=step, loss=2.0 / (step + 1), id=str(step + 10), **more)


COMPLETED = stream("training.completed", artifacts=[])
