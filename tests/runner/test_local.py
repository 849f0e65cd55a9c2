"""The embedded backend as a client finds it, starts it, and finds it again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from arkor.errors import BackendUnreachableError
from arkor.runner.local import LocalBackend, ensure_backend, find_backend
from arkor.store.filelock import file_lock
from arkor.testing import Answer, ScriptedServer, answer_json


@pytest.fixture
def ended(home: Path) -> Iterator[None]:
    """The backend that a test has started, and which outlives whoever starts it, is ended."""
    yield
    end(described_pid(home))


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def described_pid(home: Path) -> int:
    return int(json.loads((home / "backend" / "server.json").read_text())["pid"])


def describe(home: Path, text: str) -> None:
    (home / "backend").mkdir(parents=True, exist_ok=True)
    (home / "backend" / "server.json").write_text(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"url":"http://127.0.0.1:1"}'])
def test_a_description_that_cannot_be_read_is_none(home: Path, text: str) -> None:
    assert find_backend(home) is None
    describe(home, text)
    assert find_backend(home) is None


def test_a_description_of_a_backend_that_is_gone_is_none(home: Path) -> None:
    describe(home, json.dumps({"url": "http://127.0.0.1:1", "token": "t", "pid": 1}))
    assert find_backend(home) is None


def stale(home: Path, url: str, pid: int) -> None:
    describe(home, json.dumps({"url": url, "token": "hush", "pid": pid, "version": "0.1.0"}))


def test_whatever_listens_where_a_dead_one_did_is_not_taken_for_it(home: Path) -> None:
    with ScriptedServer() as other:
        other.on("GET", "/healthz", answer_json({"status": "ok"}))
        stale(home, other.url, os.getpid())
        assert find_backend(home) is None
        # Another one, which has not described itself yet.
        (home / "backend" / "lock").write_text("1")
        with file_lock(home / "backend" / "lock", timeout=1):
            (home / "backend" / "lock").write_text("1")
            assert find_backend(home) is None
        assert other.requests == []


@pytest.mark.parametrize("answer", [answer_json({"status": "up"}), Answer(200, {}, b"<html>")])
def test_what_does_not_answer_as_a_backend_is_none(home: Path, answer: Answer) -> None:
    with ScriptedServer() as other:
        stale(home, other.url, os.getpid())
        with file_lock(home / "backend" / "lock", timeout=1):
            (home / "backend" / "lock").write_text(str(os.getpid()))
            other.on("GET", "/healthz", answer)
            assert find_backend(home) is None
            other.on("GET", "/healthz", answer_json({"status": "ok"}))
            assert find_backend(home) == LocalBackend(other.url, "hush", os.getpid())
        assert find_backend(home) is None


def test_a_folder_that_cannot_be_used_is_named(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "backend").touch()
    with pytest.raises(
        BackendUnreachableError, match=r"backend.*Not a directory.*ARKOR_HOME"
    ) as caught:
        ensure_backend(home)
    assert isinstance(caught.value.__cause__, OSError)
    (home / "backend").unlink()
    (home / "backend" / "server.json").mkdir(parents=True)
    with pytest.raises(BackendUnreachableError, match=r"server\.json: Is a directory"):
        find_backend(home)


def test_its_token_is_in_no_repr() -> None:
    assert "hush" not in repr(LocalBackend("http://127.0.0.1:1", "hush", 1))


@pytest.mark.usefixtures("ended")
def test_one_is_started_for_all_and_another_when_it_has_died(home: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(ensure_backend, [home] * 4)
    assert others == [first] * 3
    assert find_backend(home) == first
    for private in (home, home / "backend", home / "backend" / "server.json"):
        assert private.stat().st_mode & 0o077 == 0
    assert ask(first, "another token").status_code == 401
    assert ask(first, first.token).status_code == 200

    end(first.pid)
    deadline = time.monotonic() + 60
    # The new one takes the port over a moment before it describes itself.
    while described_pid(home) == first.pid:
        assert time.monotonic() < deadline
        second = ensure_backend(home)
    assert (second.url, second.token) == (first.url, first.token)
    assert ask(second, second.token).status_code == 200


def ask(backend: LocalBackend, token: str) -> httpx.Response:
    headers = {"x-arkor-client": "arkor/0.1.0", "authorization": f"Bearer {token}"}
    return httpx.get(f"{backend.url}/v1/me", headers=headers, trust_env=False)


def test_one_that_does_not_come_up_says_why(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "backend").mkdir()
    (home / "backend" / "backend.db").mkdir()
    with pytest.raises(BackendUnreachableError, match=r"backend\.log says: .+"):
        ensure_backend(home)


def test_a_backend_that_was_stopped_is_started_by_who_asks_first_and_not_by_its_users(
    home: Path,
) -> None:
    from arkor.backend.lifecycle import stop

    try:
        ensure_backend(home)
        assert stop(home)
        with pytest.raises(BackendUnreachableError, match="was stopped"):
            ensure_backend(home, again=True)
        first = ensure_backend(home)
        assert ensure_backend(home, again=True).pid == first.pid
    finally:
        stop(home)
