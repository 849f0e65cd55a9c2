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

pytest.importorskip("arkor.backend.server")


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
    (home / "backend").mkdir(parents=True)
    (home / "backend" / "backend.db").mkdir()
    with pytest.raises(BackendUnreachableError, match=r"backend\.log says: .+"):
        ensure_backend(home)
