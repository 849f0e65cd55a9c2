"""What every test stands on: a clean environment, a home of its own, a real backend."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).parents[1]
FOREIGN = ("ARKOR_", "HF_", "XDG_", "NO_COLOR", "FORCE_COLOR")


@dataclass(frozen=True)
class Backend:
    """A running embedded backend, in a process of its own, and the store's folder it lives in."""

    home: Path
    url: str
    token: str
    pid: int

    def environ(self, **extra: str) -> dict[str, str]:
        """The environment of a client process that uses this backend and this home."""
        return clean() | {
            "HOME": str(self.home.parent),
            "ARKOR_HOME": str(self.home),
            "ARKOR_CLOUD_API_URL": "local",
            "OMP_NUM_THREADS": "1",
            **extra,
        }


def clean() -> dict[str, str]:
    """The environment without any setting of the person who runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


class Need(Protocol):
    """What `need` is."""

    def __call__(self, there: object, what: str) -> None: ...


@pytest.fixture(scope="session")
def need() -> Need:
    """`need(there, "strace(1): apt-get install strace")`: without it the test is not run.

    `what` ends with what would help. Under `CI=true` it is a failure: nothing goes unnoticed there.
    """

    def need(there: object, what: str) -> None:
        if not there:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")

    return need


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - clean().keys():
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store's folder (`ARKOR_HOME`), in an empty home directory (`HOME`)."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ARKOR_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One embedded backend for the tests of a module; killed processes are the tests' own matter."""
    home = tmp_path_factory.mktemp("backend") / "store"
    command = [sys.executable, "-m", "arkor", "backend", "serve", "--home", str(home)]
    environ = clean() | {
        "HOME": str(home.parent),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",  # a model that is not here is not looked for elsewhere
    }
    with (
        (home.parent / "serve.log").open("w+") as log,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            yield described(home, process, log.name)
        finally:
            process.terminate()


def described(home: Path, process: subprocess.Popen[bytes], log: str) -> Backend:
    """The backend of `server.json`, which is written once it listens."""
    deadline = time.monotonic() + 60
    while not (file := home / "backend" / "server.json").exists():
        assert process.poll() is None, f"the backend ended: {Path(log).read_text()}"
        assert time.monotonic() < deadline, f"the backend does not listen: {Path(log).read_text()}"
        time.sleep(0.02)
    said = json.loads(file.read_text())
    return Backend(home=home, url=said["url"], token=said["token"], pid=said["pid"])
