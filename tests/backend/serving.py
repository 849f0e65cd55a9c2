"""A server in a process of its own, with the workers of `workers/`, and a client of it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).parent / "workers" / "server.py"
SCOPE = {"orgSlug": "local", "projectSlug": "demo"}


@dataclass
class Server:
    """A server in a process of its own, and a client of it within the project `demo`."""

    home: Path
    process: subprocess.Popen[bytes]
    url: str
    token: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "X-Arkor-Client": "arkor/0.1.0"}
        self.http = httpx.Client(
            base_url=self.url,
            headers=headers,
            params=SCOPE,
            timeout=60,
            trust_env=False,
            verify=False,
        )

    def submit(self, key: str | None = None, **config: Any) -> str:
        """The id of a new job, whose config is `config` beside what every config has."""
        body = {"name": "job", "config": config_of(**config)}
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.http.post("/v1/jobs", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["job"]["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/jobs/{job_id}").json()["job"])

    def cancel(self, job_id: str) -> httpx.Response:
        return self.http.post(f"/v1/jobs/{job_id}/cancel")

    def events(self, job_id: str, after: str | None = None) -> Generator["Event", None, None]:
        """The events as they come, `ping` and `end` too."""
        headers = {} if after is None else {"Last-Event-ID": after}
        url = f"/v1/jobs/{job_id}/events/stream"
        with self.http.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200
            fields: dict[str, str] = {}
            for line in response.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                else:
                    yield Event(fields["event"], fields.get("id"), fields.get("data", ""))
                    fields = {}

    def events_so_far(self, job_id: str) -> list["Event"]:
        """The events that are stored now."""
        number = len(self.http.get(f"/v1/jobs/{job_id}").json()["events"])
        stream = self.events(job_id)
        stored = [event for _, event in zip(range(number), stream, strict=False)]
        stream.close()
        return stored

    def wait_for(self, job_id: str, **wanted: object) -> dict[str, Any]:
        """The data of the job's first event that has these values."""
        events = self.events(job_id)
        with contextlib.closing(events):
            for event in events:
                data = json.loads(event.data or "{}")
                if all(data.get(key) == value for key, value in wanted.items()):
                    return dict(data)
        raise AssertionError(f"the stream ended without {wanted}")

    def finished(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended."""
        assert list(self.events(job_id))[-1].name == "end"
        return self.job(job_id)

    def folder(self, job_id: str) -> Path:
        return self.home / "backend" / "jobs" / job_id

    def pids(self, job_id: str) -> list[int]:
        """The processes that trained the job so far."""
        return [int(pid) for pid in (self.folder(job_id) / "pids").read_text().split()]

    def end(self) -> int:
        self.http.close()
        self.process.terminate()
        return self.process.wait(20)


@dataclass(frozen=True)
class Event:
    name: str
    id: str | None
    data: str


def config_of(**config: Any) -> dict[str, Any]:
    return {"model": "tiny", "datasetSource": {"type": "huggingface", "name": "x"}} | config


def launch(home: Path, **options: Any) -> Server:
    """Start a server and make the project; it answers when this returns."""
    home.mkdir(exist_ok=True)
    before = description(home)
    with (home / "output").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(home), json.dumps(options)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + 30
    while (said := description(home)) in (None, before):
        assert process.poll() is None, (home / "output").read_text()
        assert time.monotonic() < deadline, (home / "output").read_text()
        time.sleep(0.01)
    assert said is not None
    server = Server(home, process, said["url"], said["token"])
    answer = server.http.post("/v1/projects", json={"name": "demo", "slug": "demo"})
    assert answer.status_code in (201, 409)
    return server


def description(home: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((home / "backend" / "server.json").read_text()))
    except FileNotFoundError:
        return None


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds; fails after 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs (one that ended and was not waited for does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
