"""The embedded backend as a client finds it, starts it, and finds it again."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from arkor.errors import BackendUnreachableError
from arkor.runner.local import LocalBackend, ensure_backend, find_backend

pytest.importorskip("arkor.backend.server")


@pytest.fixture
def started() -> Iterator[list[LocalBackend]]:
    """What a test has started; it is ended when the test is."""
    backends: list[LocalBackend] = []
    yield backends
    for pid in {backend.pid for backend in backends}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


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


def test_one_is_started_for_all_and_another_when_it_has_died(
    home: Path, started: list[LocalBackend]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        started.extend(pool.map(ensure_backend, [home] * 4))
    first = started[0]
    assert started == [first] * 4
    assert find_backend(home) == first
    file = home / "backend" / "server.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for private in (home, home / "backend"):
        assert private.stat().st_mode & 0o077 == 0
    headers = {"x-arkor-client": "arkor/0.1.0"}
    me = httpx.get(f"{first.url}/v1/me", headers=headers, trust_env=False)
    assert me.status_code == 401

    os.kill(first.pid, signal.SIGKILL)
    second = ensure_backend(home)
    started.append(second)
    assert second.pid != first.pid
    assert find_backend(home) == second
    assert second.token in file.read_text()


def test_one_that_does_not_come_up_says_why(home: Path) -> None:
    (home / "backend").mkdir(parents=True)
    (home / "backend" / "backend.db").mkdir()
    with pytest.raises(BackendUnreachableError, match=r"backend\.log says: .+"):
        ensure_backend(home)
