"""Saying to the service manager that one is ready, what one does, and that one is alive.

The protocol is that of sd_notify(3): datagrams of `NAME=VALUE` lines to `NOTIFY_SOCKET`.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from arkor.errors import ConfigError
from arkor.runner.engine import submit

__all__ = ["Service"]

PULSE: Final = 10.0
"""Seconds between two messages, where no watchdog asks for more."""

PATIENCE: Final = 1.0
"""Seconds that a message may take to be taken."""


class Service:
    """This process as a service; without a service manager it says nothing.

    While the block lasts Arkor's thread, the one that records and renews the lease, sends the
    state and feeds the watchdog: it is that thread's standstill that the watchdog is to see. A
    callback that takes its time is none. `status` gives the state in a line.

    The variables are taken out of the environment, as sd_notify(3) has it: a process that this
    one starts, such as the embedded backend, is not the service. Raises `ConfigError` if
    they have values that cannot be.
    """

    def __init__(self, status: Callable[[], str] = str) -> None:
        self._status = status
        self._address = _address(os.environ.pop("NOTIFY_SOCKET", ""))
        self._pause = _pause(
            os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        )
        self._alive: Future[None] | None = None

    def __enter__(self) -> Self:
        if self._address:
            self._alive = submit(self._live())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._alive is not None:
            self._alive.cancel()
        self._say("STOPPING=1")

    def ready(self) -> None:
        """Say that the start is over."""
        if self._address:
            self._say("READY=1", f"STATUS={self._state()}")

    async def _live(self) -> None:
        while True:
            self._say("WATCHDOG=1", f"STATUS={self._state()}")
            await asyncio.sleep(self._pause)

    def _state(self) -> str:
        return " ".join(self._status().split())

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            # A manager that is late with reading is waited for, but not for long: this may be the
            # thread that records.
            door.settimeout(PATIENCE)
            try:
                door.sendto("\n".join(lines).encode(errors="replace"), self._address)
            except OSError:
                return  # a run does not end because nobody listens how it goes


def _address(named: str) -> str:
    """The socket's address: a path, or a name of Linux's own after `@`."""
    if named and not named.startswith(("/", "@")):
        raise ConfigError(
            f"NOTIFY_SOCKET must be an absolute path or begin with @, not {named!r}",
            field="NOTIFY_SOCKET",
        )
    return f"\0{named[1:]}" if named.startswith("@") else named


def _pause(microseconds: str, pid: str) -> float:
    """Seconds between two signs of life: half of what the watchdog allows, if it is for us."""
    if not microseconds or (pid and pid != str(os.getpid())):
        return PULSE
    if not microseconds.isdecimal() or int(microseconds) == 0:
        raise ConfigError(
            f"WATCHDOG_USEC must be a number of microseconds, not {microseconds!r}",
            field="WATCHDOG_USEC",
        )
    return min(PULSE, int(microseconds) / 2_000_000)
