"""The embedded backend as its clients see it: found, or started, and reached over the wire.

A running one describes itself in `server.json`, which only its user can read. Whoever can read
that file may use the backend, so its token never becomes an identity in the credentials file.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from arkor.errors import BackendUnreachableError
from arkor.store.filelock import file_lock, lock_holder
from arkor.store.paths import backend_path, ensure_home

__all__ = ["LOCAL", "LocalBackend", "ensure_backend", "find_backend"]

LOCAL: Final = "local"
"""The backend address, and the organisation, that mean the embedded backend."""

STOPPED: Final = "stopped"
"""The file that says that the backend ended because somebody wanted it to."""

START_TIMEOUT: Final = 60.0
"""Seconds that a backend may take from its start to its first answer."""


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """A running embedded backend: where it listens and what it demands."""

    url: str
    token: str = field(repr=False)
    pid: int


def find_backend(home: Path) -> LocalBackend | None:
    """The embedded backend of `home` if one is running and answers.

    Raises `BackendUnreachableError` if its folder cannot be read.
    """
    folder = backend_path(home)
    with _usable(folder):
        backend = _described(folder)
        # The kernel gives the lock back when a process dies, however it does: whatever listens
        # now where a dead backend did must not get its token.
        if backend is None or lock_holder(folder / "lock") != backend.pid:
            return None
    return backend if _answers(backend) else None


def ensure_backend(home: Path, *, again: bool = False) -> LocalBackend:
    """The running embedded backend of `home`, started if there is none.

    One that somebody stopped is not started `again` by those who were using it: they wait for
    the next one who asks for the first time. Of several processes that ask at once, one starts
    it and the others find it. It outlives them all. Raises `BackendUnreachableError` if its
    folder cannot be used, or with the end of its log if it does not come up.
    """
    if backend := find_backend(home):
        return backend
    folder = backend_path(home)
    if again and (folder / STOPPED).exists():
        raise BackendUnreachableError(
            "the embedded backend was stopped; its runs go on when it is started again "
            "(`arkor backend start`)"
        )
    ensure_home(home)
    with _usable(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        with file_lock(folder / "start.lock", timeout=START_TIMEOUT):
            (folder / STOPPED).unlink(missing_ok=True)
            return find_backend(home) or _start(home, folder)


def _start(home: Path, folder: Path) -> LocalBackend:
    log = folder / "backend.log"
    # A session of its own: the terminal's Ctrl-C and hang-up are not for the backend.
    with log.open("ab") as output:
        os.chmod(log, 0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor", "backend", "serve", "--home", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
        )
    # It may end before this process does, and would then stay as a zombie.
    threading.Thread(target=process.wait, name="arkor-backend", daemon=True).start()
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if backend := find_backend(home):
            return backend
        time.sleep(0.05)
    if backend := find_backend(home):
        return backend
    raise BackendUnreachableError(
        f"the embedded backend did not start; the end of {log} says: {_tail(log)}"
    )


def _described(folder: Path) -> LocalBackend | None:
    try:
        found = json.loads((folder / "server.json").read_text())
        return LocalBackend(found["url"], found["token"], found["pid"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _answers(backend: LocalBackend) -> bool:
    try:
        answer = httpx.get(f"{backend.url}/healthz", timeout=5, trust_env=False)
        return answer.is_success and answer.json() == {"status": "ok"}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendUnreachableError(
            f"the embedded backend's folder {folder} cannot be used "
            f"({error.filename or folder}: {error.strerror or error}); "
            "mend that, or set ARKOR_HOME to another folder"
        ) from error


def _tail(log: Path, lines: int = 5) -> str:
    text = log.read_text(errors="replace").strip().splitlines()[-lines:]
    return " | ".join(text) or "nothing"
