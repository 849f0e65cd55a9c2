"""The one server of a folder, seen from outside: its lock, its description, its end."""

import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from arkor.backend.folder import Folder, write_private
from arkor.errors import ArkorError

__all__ = ["Identity", "ServerInfo", "identity", "only_server", "status", "stop"]

POLL: Final = 0.05
ANSWER_TIME: Final = 5.0
HEALTHY: Final = {"status": "ok"}
LONGEST_ANSWER: Final = 1024


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A running server, as `server.json` describes it."""

    url: str
    token: str = field(repr=False)
    pid: int
    version: str

    def write(self, folder: Folder) -> None:
        """Describe the server to its clients, all at once."""
        write_private(folder.server_file, json.dumps(asdict(self)).encode())


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server has in common with the next one of its folder.

    A client that was following a job when the server died finds the next one where it looks.
    """

    token: str = field(repr=False)
    port: int

    def write(self, folder: Folder) -> None:
        """Keep it for the next server."""
        write_private(folder.identity_file, json.dumps(asdict(self)).encode())


def identity(folder: Folder) -> Identity:
    """The identity of the folder's last server; a new one, with port 0, if there was none."""
    try:
        found = json.loads(folder.identity_file.read_bytes())
        return Identity(str(found["token"]), int(found["port"]))
    except FileNotFoundError:
        return Identity(secrets.token_urlsafe(32), 0)
    except (ValueError, KeyError, TypeError) as error:
        raise ArkorError(
            f"{folder.identity_file} is damaged; remove it, and the backend makes a new one"
        ) from error


@contextmanager
def only_server(folder: Folder, *, timeout: float) -> Iterator[bool]:
    """Be the folder's one server within the block; False if another one is.

    A server that runs does not answer yet, or no more, is waited for, `timeout` seconds at most.
    Raises `ArkorError` if it does neither in that time.
    """
    file = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mine = _lock(file, folder, timeout)
        if mine:
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield mine
    finally:
        os.close(file)


def _lock(file: int, folder: Folder, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not _try(file, fcntl.LOCK_EX):
        if _described(folder):
            return False
        if time.monotonic() > deadline:
            raise ArkorError(
                f"another backend (pid {_holder(folder)}) has {folder.path} but does not answer; "
                "it may be stopping: wait, or end it, and start again"
            )
        time.sleep(POLL)
    return True


def status(home: Path) -> ServerInfo | None:
    """The running embedded backend of the store's folder `home`, if there is one that answers.

    It is the one that holds the folder's lock, which the kernel gives back when a process dies:
    whatever listens now where a dead one did is not taken for it. Raises `OSError` if the
    folder cannot be read.
    """
    return _described(Folder(home / "backend"))


def stop(home: Path, *, timeout: float = 120.0) -> bool:
    """End the embedded backend of `home` and wait until it has; False if there is none.

    Its jobs save a checkpoint first, and go on at the next start. Raises `ArkorError` if it
    still runs after `timeout` seconds.
    """
    folder = Folder(home / "backend")
    pid = _holder(folder)
    if pid is None:
        return False
    # Those who use it must not start it again; the next one who starts it takes this away.
    folder.stopped.touch(mode=0o600)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while _holder(folder) == pid:
        if time.monotonic() > deadline:
            raise ArkorError(
                f"the backend (pid {pid}) still runs {timeout:g} s after it was told to stop; "
                f"{folder.log} says what it does. A job of it may still be training"
            )
        time.sleep(POLL)
    return True


def _holder(folder: Folder) -> int | None:
    """The pid of the server that holds the lock."""
    try:
        file = os.open(folder.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # A shared lock: those who only look do not take each other for a server.
        if _try(file, fcntl.LOCK_SH):
            return None
        pid = os.pread(file, 20, 0).strip()
    finally:
        os.close(file)
    return int(pid) if pid.isdigit() else None


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _described(folder: Folder) -> ServerInfo | None:
    try:
        info = ServerInfo(**json.loads(folder.server_file.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return info if _holder(folder) == info.pid and _answers(info.url) else None


def _answers(url: str) -> bool:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_TIME)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        said = json.loads(response.read(LONGEST_ANSWER))
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return response.status == HTTPStatus.OK and said == HEALTHY
