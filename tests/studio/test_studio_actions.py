"""What a page can do: train, cancel, leave and resume, each in a process that outlives it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from studio_app import COMPLETED, browser, write_run

from arkor.studio.launches import Launches
from arkor.testing import Forever, ScriptedBackend

ENTRY = """
from arkor import HuggingfaceDataset, TrainerOptions, create_trainer

print("loading", flush=True)
trainer = create_trainer(
    name="from-studio", model="m", dataset=HuggingfaceDataset("org/data"), max_steps=10,
    callbacks={"on_log": lambda ctx: print("step", ctx.step, flush=True)},
    options=TrainerOptions(reconnect_delay=0.05),
)
"""
STARTED = {"type": "training.started"}
STEP = {"type": "training.log", "step": 1, "loss": 0.5}
ENDED = {"type": "training.completed", "artifacts": []}


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(ENTRY)
    return folder


@pytest.fixture
def client(home: Path, project: Path) -> Iterator[TestClient]:
    client = browser(home, project_root=project)
    yield client
    for launch in Launches(home).every():
        launch.stop()
        until(lambda: not launch.alive)  # noqa: B023 (called at once)


def until(ready: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := ready()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def ended(client: TestClient, launch: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        said = client.get(f"/api/launches/{launch}").json()
        return said if said["exitCode"] is not None else None

    return dict(until(look))


def test_the_trainer_is_found_in_another_process(client: TestClient, project: Path) -> None:
    said = client.get("/api/project").json()
    assert said["problem"] is None
    assert said["projectRoot"] == str(project)
    assert (said["trainer"]["name"], said["trainer"]["model"]) == ("from-studio", "m")
    assert said["trainer"]["dataset"] == "org/data"

    entry = project / "src" / "arkor" / "index.py"
    entry.write_text(ENTRY.replace("from-studio", "edited-since"))
    assert client.get("/api/project").json()["trainer"]["name"] == "edited-since"
    entry.write_text("1 / 0")
    broken = client.get("/api/project").json()
    assert broken["trainer"] is None
    assert "index.py:1" in broken["problem"]
    assert "ZeroDivisionError" in broken["problem"]


def test_a_training_is_a_process_of_its_own(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedBackend([STARTED, STEP, ENDED]) as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        answer = client.post("/api/train", json={"dryRun": True})
        assert answer.status_code == 202, answer.text
        launch = answer.json()
        assert (launch["what"], launch["exitCode"]) == ("dry run", None)
        assert os.getsid(launch["pid"]) == launch["pid"]
        said = ended(client, launch["id"])
    assert said["exitCode"] == 0, said["output"]
    assert "step 1\n" in said["output"]
    assert said["output"].endswith("\n---\nexit=0\n")
    assert client.get(f"/api/launches/{launch['id']}?from={said['end']}").json()["output"] == ""

    run = client.get(f"/api/runs/{said['runId']}").json()
    assert (run["status"], run["config"]["dryRun"]) == ("completed", True)
    (recent,) = client.get("/api/overview").json()["recent"]
    assert (recent["name"], recent["losses"]) == ("from-studio", [0.5])
    log = home / "studio" / f"{launch['id']}.log"
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_run_is_left_resumed_and_cancelled(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedBackend([STARTED, STEP, Forever(), Forever()]) as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        launch = client.post("/api/train", json={}).json()

        def run_id() -> Any:
            shown = client.get(f"/api/launches/{launch['id']}").json()
            return shown["runId"] if "step 1\n" in shown["output"] else None

        run = str(until(run_id))
        (current,) = client.get("/api/overview").json()["current"]
        assert (current["step"], current["totalSteps"]) == (1, 10)
        twice = client.post(f"/api/runs/{run}/resume", json={})
        assert twice.status_code == 409, twice.text

        left = client.post(f"/api/runs/{run}/detach", json={})
        assert left.json() == {"runId": run, "pid": launch["pid"]}
        said = ended(client, launch["id"])
        assert said["exitCode"] == 143
        assert "goes on at the backend" in said["output"]
        assert not backend.cancelled.is_set()
        assert client.post(f"/api/runs/{run}/detach", json={}).status_code == 409

        resumed = client.post(f"/api/runs/{run}/resume", json={})
        assert resumed.status_code == 202, resumed.text
        assert resumed.json()["runId"] == run
        until(lambda: client.get(f"/api/runs/{run}").json()["owner"]["state"] == "active")

        cancelled = client.post(f"/api/runs/{run}/cancel", json={})
        assert cancelled.status_code == 200, cancelled.text
        assert backend.cancelled.is_set()
        again = ended(client, resumed.json()["id"])
        assert again["exitCode"] == 3, again["output"]
    assert client.get(f"/api/runs/{run}").json()["status"] == "cancelled"
    assert client.post(f"/api/runs/{run}/cancel", json={}).status_code == 409


def test_one_start_at_a_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedBackend([STARTED, Forever()]) as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        assert client.post("/api/train", json={}).status_code == 202
        twice = client.post("/api/train", json={})
        assert (twice.status_code, "already" in twice.json()["error"]) == (409, True)


def test_only_a_file_of_the_project_is_run(
    client: TestClient, project: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("raise SystemExit('this must not run')")
    (project / "link.py").symlink_to(outside)
    for file in ("../outside.py", str(outside), "link.py"):
        answer = client.post("/api/train", json={"file": file})
        assert answer.status_code == 400
        assert "inside the project directory" in answer.json()["error"]
    for file in ("none.py", "a\0b", "x" * 5000):
        answer = client.post("/api/train", json={"file": file})
        assert answer.status_code == 400
        assert "does not exist" in answer.json()["error"]
    for body in ({"file": 1}, {"dryRun": "yes"}, {"file": ["a"]}):
        assert client.post("/api/train", json=body).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"1" * 2_000_000, b"[" * 100_000])
def test_what_is_no_object_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/train", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413)
    assert set(answer.json()) == {"error"}


def test_what_cannot_be_done_is_said(client: TestClient, home: Path) -> None:
    over = write_run(home, "over", COMPLETED, status="completed")
    here = write_run(home, "here")
    for action in ("cancel", "resume"):
        answer = client.post(f"/api/runs/{over}/{action}", json={})
        assert (answer.status_code, "has ended" in answer.json()["error"]) == (409, True)
    followed = client.post(f"/api/runs/{here}/detach", json={})
    assert followed.status_code == 409
    assert f"process {os.getpid()}" in followed.json()["error"]
    assert "Studio did not start it" in followed.json()["error"]
    for action in ("cancel", "detach", "resume"):
        assert client.post(f"/api/runs/none/{action}", json={}).status_code == 404
    assert client.get("/api/launches/none").status_code == 400


def test_health_is_the_doctors(client: TestClient, home: Path) -> None:
    write_run(home, "one")
    said = client.get("/api/health").json()
    assert said["level"] in ("ok", "note", "warning", "problem")
    assert all(each["next_step"] for each in said["findings"])
