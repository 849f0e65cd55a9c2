"""`arkor doctor`: findings as lines and as JSON, and an exit code that a script can go by."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from arkor.store.writer import open_writer

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no backend: the embedded one is not running."""
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def store(home: Path) -> Path:
    """A store with an empty journal."""
    with open_writer(home).transaction(durable=True):
        pass
    open_writer(home).close()
    return home


def test_a_healthy_store_exits_0(here: Arkor, store: Path) -> None:
    done = here("doctor")
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "machine",
        "store",
        "journal",
        "runs",
        "account",
        "backend",
    ]
    assert "warning" not in done.stderr


def test_a_fault_exits_1_and_says_what_to_do(here: Arkor, store: Path) -> None:
    (store / "arkor.db").chmod(0o644)
    done = here("doctor")
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    place = next(number for number, line in enumerate(lines) if line[0] == "warning")
    assert lines[place][:3] == ["warning", "access", str(store / "arkor.db")]
    assert lines[place + 1] == ["`chmod", "600", f"{store / 'arkor.db'}`"]
    assert "1 warning" in done.stderr


def test_findings_as_json(here: Arkor, store: Path) -> None:
    (store / "arkor.db").write_bytes(b"no database" * 1000)
    done = here("doctor", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert all(each.keys() == {"check", "level", "what", "nextStep"} for each in found)
    assert all((each["level"] == "ok") == (each["nextStep"] is None) for each in found)
    (problem,) = [each for each in found if each["level"] == "problem"]
    assert problem["check"] == "journal.pages"
    assert "arkor store salvage" in problem["nextStep"]
    assert done.stderr == ""


def test_nothing_is_made(arkor: Arkor, home: Path, folder: Path) -> None:
    done = arkor("doctor")
    assert done.returncode == 0, done.stdout
    assert not home.exists()
    assert list(folder.iterdir()) == []
