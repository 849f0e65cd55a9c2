"""A worker: a process of its own that writes one JSON object a line, and dies with its parent."""

import asyncio
import fcntl
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Worker", "describe_end"]

LONGEST_LINE: Final = 16 * 1024 * 1024
TAIL_LINES: Final = 20
TAIL_LENGTH: Final = 2000
DYING_TIME: Final = 10.0
"""Seconds that a worker without a parent has to notice it, before it is killed."""


class Worker:
    """A started worker.

    Its stdin stays open as long as this process lives; its end tells the worker to end, too.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    @classmethod
    async def start(cls, command: Sequence[str], *, log: Path, lock: Path | None = None) -> Self:
        """Start `command`; its stderr is appended to `log`.

        With `lock` it is the only one: the worker and its children hold that file locked while
        they live, and an earlier one that still does is waited for, then killed. Raises
        `OSError` if the command cannot be started.
        """
        held = None if lock is None else await _hold(lock)
        try:
            with log.open("ab") as errors:
                os.fchmod(errors.fileno(), 0o600)
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    pass_fds=() if held is None else (held,),
                    # A group of its own: it is signalled as a whole, and never by a terminal.
                    start_new_session=True,
                    limit=LONGEST_LINE,
                )
                log_start = errors.tell()
            if held is not None:
                os.ftruncate(held, 0)
                os.pwrite(held, str(process.pid).encode(), 0)
        finally:
            if held is not None:
                os.close(held)
        return cls(process, log, log_start)

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """The objects that the worker writes, until it closes its stdout.

        Raises `ValueError` for a line that is no JSON object, or longer than 16 MiB. Numbers
        that JSON does not have (NaN, infinities) are read as null.
        """
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            value = json.loads(line, parse_constant=lambda name: None, parse_float=_finite)
            if not isinstance(value, dict):
                raise ValueError(f"a worker's line must be a JSON object, not {line[:80]!r}")
            yield value

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one object to the worker's stdin; a worker that has gone does not hear it."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def hang_up(self) -> None:
        """Close the worker's stdin, which asks it to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def terminate(self) -> None:
        """Ask the worker to save what it has and end (SIGTERM)."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End the worker and all that it started (SIGKILL)."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """The exit code, once it has ended; the negative signal number if a signal ended it."""
        return await self._process.wait()

    def tail(self) -> str:
        """The end of what this worker wrote to stderr: 20 lines and 2,000 characters at most."""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 4 * TAIL_LENGTH))
            text = log.read().decode("utf-8", "replace")
        return "\n".join(text.strip().splitlines()[-TAIL_LINES:])[-TAIL_LENGTH:]


def describe_end(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (the system may have run out of memory)" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{hint}"


async def _hold(path: Path) -> int:
    """Lock the file at `path`, and return its descriptor, once no earlier worker holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + DYING_TIME
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                _kill_group(os.pread(file, 20, 0))
            await asyncio.sleep(0.05)
        else:
            return file


def _kill_group(pid: bytes) -> None:
    if pid.strip().isdigit():
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
