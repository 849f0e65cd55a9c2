"""The port that Studio listens on: 4000, or the next free one, or exactly the one that is asked for."""

import socket
from collections.abc import Callable
from typing import Final

from arkor.errors import ArkorError

__all__ = ["DEFAULT_PORT", "listen", "wanted_port"]

DEFAULT_PORT: Final = 4000

ATTEMPTS: Final = 10
"""Ports that are tried where none was asked for."""

HIGHEST: Final = 65535


def wanted_port(given: str) -> int:
    """The port that a text asks for; 4000 for what is no number, and for 0."""
    digits = given.isascii() and given.isdecimal()
    return (int(given) if digits and len(given) < 19 else 0) or DEFAULT_PORT


def listen(
    port: int | None, warn: Callable[[str], None], *, first: int = DEFAULT_PORT
) -> socket.socket:
    """A socket that listens at `port` of 127.0.0.1, or, without one, from `first` on.

    `warn` is told of each port that is taken. Raises `ArkorError` if `port`, or all that are
    tried, are.
    """
    if port is not None:
        if port > HIGHEST:
            raise ArkorError(f"There is no port {port}; the highest is {HIGHEST}")
        return _bound(port, f"Port {port} is already in use; `--port` takes another one")
    last = min(first + ATTEMPTS - 1, HIGHEST)
    for number in range(first, last):
        try:
            return _bound(number, "")
        except ArkorError:
            warn(f"Port {number} is in use, trying {number + 1} instead...")
    return _bound(last, f"All ports {first}-{last} are in use; `--port` takes another one")


def _bound(port: int, problem: str) -> socket.socket:
    # asyncio sends small answers at once only on a socket that says it is TCP, in so many words.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ArkorError(problem) from error
    return listener
