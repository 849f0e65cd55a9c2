"""Studio as a process: it listens, says where, and stops on a signal."""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette

from arkor.studio.access import Access, session_key
from arkor.studio.app import create_app
from arkor.studio.token_file import token_in_file

__all__ = ["Serving", "serve"]

HANG_UP_TIME: Final = 3
"""Seconds that open requests have to end in."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served and who is told what: `tell` of warnings, `ready` of the address to open."""

    home: Path
    project_root: Path
    tell: Callable[[str], None]
    ready: Callable[[str], None]


def serve(serving: Serving, listener: socket.socket) -> int:
    """Serve Studio at `listener` until a signal comes; 128 and the signal's number, or 0.

    Raises `ConfigError` or `JournalError` if the store's folder cannot be used.
    """
    token = secrets.token_urlsafe(32)
    access = Access(token, session_key(serving.home))
    address = f"http://localhost:{listener.getsockname()[1]}/?token="
    access.on_used = lambda ticket: serving.tell(
        f"a browser has opened Studio; for another one: {address}{ticket}"
    )
    app = create_app(home=serving.home, project_root=serving.project_root, access=access)
    server = _Server(app, lambda: serving.ready(address + access.ticket))
    with _logging(), token_in_file(serving.home, token, serving.tell):
        asyncio.run(server.serve([listener]))
    return 128 + server.signum if server.signum else 0


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and whose streams end when it stops."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=HANG_UP_TIME,
            )
        )
        self._closing = app.state.studio.closing
        self._ready = ready
        self.signum = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        self.force_exit = self.should_exit  # the second one does not wait
        self.should_exit = True
        self.signum = self.signum or number
        self._closing.set()


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Whatever goes wrong while serving goes to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
