"""`arkor backend`: a process that outlives the command that started it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture
def started(arkor: Arkor) -> Iterator[CompletedProcess[str]]:
    yield arkor("backend", "start")
    arkor("backend", "stop")


def test_it_is_started_found_and_stopped(
    arkor: Arkor, here: Arkor, home: Path, started: CompletedProcess[str]
) -> None:
    assert started.returncode == 0, started.stderr
    assert (started.stdout, "runs at http://127.0.0.1:" in started.stderr) == ("", True)
    status = json.loads(here("backend", "status", "--json").stdout)
    assert status["running"] is True
    assert status["home"] == str(home)
    assert "token" not in status

    again = arkor("backend", "start")
    assert again.stderr == started.stderr
    assert f"pid {status['pid']}" in here("backend", "status").stdout
    assert "listening at" in here("backend", "logs").stdout
    assert here("backend", "logs", "-n", "0").stdout == ""

    stopped = here("backend", "stop")
    assert (stopped.returncode, stopped.stderr) == (0, "the embedded backend has stopped\n")
    assert here("backend", "status").returncode == 1


def test_whoami_at_the_embedded_backend(
    here: Arkor, monkeypatch: pytest.MonkeyPatch, started: CompletedProcess[str], home: Path
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    said = here("whoami", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["orgs"] == ["local"]
    assert not (home / "credentials.json").exists()


def test_one_that_does_not_run(here: Arkor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (here("backend", "status").returncode, here("backend", "status").stdout) == (
        1,
        "not running\n",
    )
    assert json.loads(here("backend", "status", "--json").stdout)["running"] is False
    stopped = here("backend", "stop")
    assert (stopped.returncode, stopped.stderr) == (0, "the embedded backend is not running\n")
    logs = here("backend", "logs")
    assert logs.returncode == 1
    assert "has no log yet" in logs.stderr
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    assert here("whoami").returncode == 1


@pytest.mark.parametrize("command", ["serve", "start", "stop"])
def test_without_its_extra_it_says_what_to_install(
    here: Arkor, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = here("backend", command)
    assert done.returncode == 2
    assert "needs torch" in done.stderr
    assert "pip install 'arkor[backend]'" in done.stderr
