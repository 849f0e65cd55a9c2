"""What a service manager hears of a run, at a real socket."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkor.errors import ConfigError
from arkor.runner.engine import submit
from arkor.runner.notify import Service


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        address = str(tmp_path / "notify")
        door.bind(address)
        door.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield door


def heard(door: socket.socket) -> list[str]:
    return door.recv(4096).decode().split("\n")


def hear_until(door: socket.socket, line: str) -> list[list[str]]:
    messages = [heard(door)]
    while line not in messages[-1]:
        messages.append(heard(door))
    return messages


def test_a_service_says_that_it_is_ready_alive_and_going(manager: socket.socket) -> None:
    with Service(lambda: "step 3 of 9\nloss 0.5") as service:
        assert heard(manager) == ["WATCHDOG=1", "STATUS=step 3 of 9 loss 0.5"]
        service.ready()
        assert heard(manager) == ["READY=1", "STATUS=step 3 of 9 loss 0.5"]
    assert heard(manager) == ["STOPPING=1"]


def test_the_watchdog_is_fed_in_half_its_time(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with Service():
        assert [heard(manager)[0] for _ in range(5)] == ["WATCHDOG=1"] * 5


def test_a_thread_that_stands_still_does_not_feed_it(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    go_on = threading.Event()

    async def stand_still() -> None:
        go_on.wait(20)

    with Service():
        standing = submit(stand_still())
        manager.settimeout(0.5)
        with pytest.raises(TimeoutError):
            hear_until(manager, "STOPPING=1")
        go_on.set()
        standing.result(10)
        assert heard(manager)[0] == "WATCHDOG=1"


def test_a_process_that_it_starts_is_not_the_service(manager: socket.socket) -> None:
    with Service():
        assert "NOTIFY_SOCKET" not in os.environ


def test_a_watchdog_of_another_process_is_none_of_ours(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with Service():
        assert heard(manager)[0] == "WATCHDOG=1"
    assert heard(manager) == ["STOPPING=1"]


def test_nobody_has_to_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with Service() as service:
        service.ready()


def test_without_a_manager_nothing_is_said() -> None:
    with Service(status=lambda: pytest.fail("nobody asked")) as service:
        service.ready()


def test_a_name_of_linux_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"arkor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0{name}")
        door.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        with Service():
            assert heard(door)[0] == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("name", "value"), [("NOTIFY_SOCKET", "relative"), ("WATCHDOG_USEC", "soon")]
)
def test_a_value_that_cannot_be_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        Service()
