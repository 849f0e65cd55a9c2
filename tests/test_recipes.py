"""Every program under scripts/recipes runs, against a real backend that really trains."""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICE_KEY = "the key of the service"
RECIPES = Path(__file__).parents[1] / "scripts" / "recipes"

pytestmark = [pytest.mark.training, pytest.mark.timeout(240)]


def run(script: str, backend: Any, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script],
        cwd=RECIPES,
        env=backend.environ(**environ),
        capture_output=True,
        text=True,
        check=False,
    )


def jobs(backend: Any) -> list[dict[str, Any]]:
    """What the journal says about every run of this backend, newest first."""
    shown = subprocess.run(
        [sys.executable, "-m", "arkor", "runs", "--json"],
        cwd=RECIPES,
        env=backend.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(shown.stdout))


def test_train_exits_as_the_run_ended(backend: Any) -> None:
    done = run("train.py", backend)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Started job \S+$", done.stdout, re.M)
    assert "status=completed" in done.stdout

    failed = run("train.py", backend, ARKOR_MODEL="arkor/no-such-model")
    assert failed.returncode == 1, failed.stderr
    assert "status=failed" in failed.stdout

    unreachable = run("train.py", backend, ARKOR_CLOUD_API_URL="http://127.0.0.1:1")
    assert unreachable.returncode == 4, unreachable.stdout
    assert "No end was reached" in unreachable.stderr


def test_nightly_submits_once_a_night(backend: Any) -> None:
    first = run("nightly.py", backend, ARKOR_SMOKE="1")
    assert first.returncode == 0, first.stderr
    before = len(jobs(backend))

    again = run("nightly.py", backend, ARKOR_SMOKE="1")
    assert again.returncode == 0, again.stderr
    assert re.search(r"^nightly-\d{4}-\d\d-\d\d: completed", again.stdout, re.M)
    assert len(jobs(backend)) == before


def test_ci_smoke_is_a_dry_run_and_fails_loudly(backend: Any) -> None:
    done = run("ci_smoke.py", backend, CI="true")
    assert done.returncode == 0, done.stderr

    failed = run("ci_smoke.py", backend, CI="true", ARKOR_MODEL="arkor/no-such-model")
    assert failed.returncode != 0
    assert "TrainingFailedError" in failed.stderr


def test_several_trainers_run_in_turn_and_side_by_side(backend: Any) -> None:
    done = run("several_trainers.py", backend, ARKOR_SMOKE="1")
    assert done.returncode == 0, done.stderr
    names = ["rank-4", "rank-16", "rate-0.001", "rate-0.01"]
    assert done.stdout.splitlines()[-4:] == [f"{name}: completed" for name in names]


@pytest.fixture
def server(backend: Any, tmp_path: Path) -> Iterator[str]:
    """The web recipe under uvicorn, on a free port; its address."""
    command = [sys.executable, "-m", "uvicorn", "web_route:app", "--port", "0"]
    with (
        (tmp_path / "web.log").open("w+") as log,
        subprocess.Popen(
            command,
            cwd=RECIPES,
            env=backend.environ(ARKOR_SMOKE="1", SERVICE_KEY=SERVICE_KEY),
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield listening(process, Path(log.name))
        finally:
            process.terminate()


def listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while not (found := re.search(r"running on (http://[\d.:]+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return found[1]


def ask(url: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    request = urllib.request.Request(url, method=method, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


def test_each_web_request_starts_a_run_of_its_own(server: str) -> None:
    one, two = (ask(f"{server}/train", "POST")["jobId"] for _ in range(2))
    assert one != two

    deadline = time.monotonic() + 120
    for job_id in (one, two):
        while (status := ask(f"{server}/train/{job_id}")["status"]) != "completed":
            assert status in ("queued", "running"), status
            assert time.monotonic() < deadline
            time.sleep(0.1)

    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(f"{server}/status/api/runs")
    shown = ask(f"{server}/status/api/runs", **{"X-Service-Key": SERVICE_KEY})
    assert {one, two} <= {each["jobId"] for each in shown["runs"]}
