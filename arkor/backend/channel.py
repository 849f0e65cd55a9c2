"""JSON lines to the parent process, on a standard output that nothing else can write to."""

import json
import math
import os
import threading
from collections.abc import Mapping
from typing import Any

__all__ = ["Channel", "exit_with_parent", "finite"]


class Channel:
    """Sends one JSON object a line on the file descriptor `fd`; threads may share it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    @classmethod
    def take_stdout(cls) -> "Channel":
        """Keep standard output for this channel; every other print goes to standard error."""
        fd = os.dup(1)
        os.dup2(2, 1)
        return cls(fd)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write `message` whole; numbers that JSON does not have become null.

        When nobody reads any more, the parent is gone: the process ends, for the work goes on
        in the parent's next life.
        """
        line = json.dumps(finite(message), ensure_ascii=False, allow_nan=False) + "\n"
        rest = memoryview(line.encode("utf-8", "replace"))
        with self._lock:
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except BrokenPipeError:
                os._exit(0)


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity in it replaced by `None` (RFC 8259, 6)."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case _:
            return value


def exit_with_parent() -> None:
    """End this process as soon as its standard input ends, however the parent died."""
    threading.Thread(target=_watch_stdin, name="parent-watch", daemon=True).start()


def _watch_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
