"""A lock between processes that the kernel gives back when its holder dies."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arkor.errors import ArkorError

__all__ = ["FileLock", "file_lock", "lock_holder"]

SLOWEST_POLL = 0.02


class FileLock:
    """An exclusive `flock` on a file of its own, which says who holds it.

    Not reentrant, and for one thread at a time. The file stays: removing it would let two
    processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self, timeout: float) -> None:
        """Wait for the lock. Raises `TimeoutError` after `timeout` seconds, `OSError` at once."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout
        pause = 0.0005
        while not _try(self._file):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{self.path} is locked by {self.holder()}")
            time.sleep(pause)
            pause = min(pause * 2, SLOWEST_POLL)
        self._sign(self._file)

    def release(self) -> None:
        """Let the next one have it."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file. In a forked child this leaves the parent's lock alone."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def holder(self) -> str:
        """Who took the lock last, in words."""
        try:
            pid, _, host = self.path.read_text().strip().partition(" ")
        except OSError:
            pid = host = ""
        return f"process {pid} on {host}" if host else "another process"

    def _sign(self, file: int) -> None:
        name = f"{os.getpid()} {socket.gethostname()}\n".encode()
        # Reading is cheaper than writing, and mostly this process was the last holder.
        if os.pread(file, len(name) + 1, 0) != name:
            try:
                os.ftruncate(file, 0)
                os.pwrite(file, name, 0)
            except OSError as error:
                # A full disk costs the name, not the lock: salvaging must stay possible.
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def file_lock(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock on `path` within the block.

    Raises `ArkorError` naming the holder after `timeout` seconds, `OSError` if the file cannot
    be made.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout)
    except TimeoutError as error:
        lock.close()
        raise ArkorError(f"{error} (waited {timeout:g} s)") from error
    try:
        yield
    finally:
        lock.close()


def lock_holder(path: Path) -> int | None:
    """The pid of the living process that holds the lock on `path`, as it has written it there.

    `None` if nobody holds it, or if its holder has not signed yet. Takes nothing away from
    anybody. Raises `OSError` if the file cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # A shared lock: those who only look do not take each other for a holder.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(file, 100, 0).partition(b" ")[0].strip()
        return int(pid) if pid.isdigit() else None
    finally:
        os.close(file)
    return None
