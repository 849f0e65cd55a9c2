"""The embedded backend as a process: one per folder, on a loopback port, until it is told to end."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import uvicorn

from arkor.backend.app import Backend, create_backend
from arkor.backend.folder import Folder
from arkor.backend.lifecycle import Identity, ServerInfo, identity, only_server, status, stop
from arkor.backend.service import BackendOptions
from arkor.errors import ArkorError

__all__ = ["serve", "status", "stop"]

log = logging.getLogger("arkor.backend")

HOST: Final = "127.0.0.1"
WAIT_FOR_LOCK: Final = 90.0
"""Seconds for which a server that is stopping, and saving its jobs, is waited for."""

HANG_UP_TIME: Final = 1
"""Seconds that requests get to finish when the server stops."""


def serve(home: Path, *, port: int = 0, options: BackendOptions | None = None) -> int:
    """Serve the store's folder `home` until SIGTERM, SIGINT or SIGHUP; return the exit code.

    Jobs that train save a checkpoint then; another signal stops their processes at once.

    With port 0 it is the port of the last time, if that is free, so that clients which wait for
    a killed server find this one. The exit code is 0, or 1 if one is running already. Raises
    `ArkorError` if the port is taken or the folder cannot be used.
    """
    os.umask(0o077)
    folder = Folder(home / "backend")
    folder.create()
    with only_server(folder, timeout=WAIT_FOR_LOCK) as mine, _logging(folder):
        if not mine:
            log.warning("an embedded backend is running already in %s; nothing to do", folder.path)
            return 1
        known = identity(folder)
        with _listen(port, known.port) as listener:
            bound = Identity(known.token, listener.getsockname()[1])
            bound.write(folder)
            backend = create_backend(folder.path, token=bound.token, options=options)
            asyncio.run(_Server(backend, bound).serve([listener]))
    return 0


class _Server(uvicorn.Server):
    """uvicorn, described to clients while it listens, and with signals that end streams first."""

    def __init__(self, backend: Backend, bound: Identity) -> None:
        config = uvicorn.Config(
            backend.app,
            access_log=False,
            log_config=None,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=HANG_UP_TIME,
        )
        super().__init__(config)
        self._backend = backend
        self._info = ServerInfo(f"http://{HOST}:{bound.port}", bound.token, os.getpid(), _version())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        folder = self._backend.service.folder
        folder.stopped.unlink(missing_ok=True)
        self._info.write(folder)
        log.info("listening at %s (pid %d)", self._info.url, self._info.pid)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._backend.service.folder.server_file.unlink(missing_ok=True)
        await super().shutdown(sockets)
        log.info("stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        if self.should_exit:
            log.info("stopping now, on another %s", number.name)
            self._backend.hurry()
            return
        log.info("stopping on %s; jobs that train save a checkpoint", number.name)
        self.should_exit = True
        self._backend.hang_up()


@contextlib.contextmanager
def _listen(port: int, last: int) -> Iterator[socket.socket]:
    """A socket on `port`; with 0 on the port `last`, or, if that is taken, on any."""
    # asyncio sends small answers at once only on a socket that says it is TCP, in so many words;
    # otherwise each waits up to 40 ms for the acknowledgement of its head.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port or last))
        except OSError as error:
            if port:
                raise ArkorError(
                    f"port {port} is taken ({error.strerror}); "
                    "give another one, or none for a free one"
                ) from error
            listener.bind((HOST, 0))
        yield listener


@contextlib.contextmanager
def _logging(folder: Folder) -> Iterator[None]:
    """Log to stderr, and to the log file unless stderr is that file (a detached start)."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    folder.log.touch(mode=0o600)
    if not os.path.samestat(os.fstat(sys.stderr.fileno()), folder.log.stat()):
        handlers.append(logging.FileHandler(folder.log))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _version() -> str:
    try:
        return version("arkor")
    except PackageNotFoundError:
        return "0.0.0"
