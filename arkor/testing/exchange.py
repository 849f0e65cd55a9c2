"""HTTP/1.1 on a socket (RFC 9112), as much as a scripted answer needs, and as rude as it likes."""

import asyncio
import http
import socket
import struct
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from arkor.testing.script import Answer, Call, Cut, Forever, Received, Step, Until, Wait

__all__ = ["receive", "send"]

_BODYLESS: Final = frozenset({204, 304})
_POLL: Final = 0.005


async def receive(reader: asyncio.StreamReader) -> Received | None:
    """The next request on a connection; `None` once the other side has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    path, _, query = target.partition("?")
    body = await _body(reader, headers)
    return Received(method, target, path, dict(parse_qsl(query)), headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return bytes(body)


async def send(writer: asyncio.StreamWriter, answer: Answer, *, head_only: bool) -> None:
    """Carry an answer out. Raises `ConnectionError` where it, or the other side, breaks off."""
    # Whatever a step sends is out before the next one begins.
    writer.transport.set_write_buffer_limits(0)
    await _steps(writer, answer.before, chunked=False)
    body = answer.body
    headers = dict(answer.headers)
    if not isinstance(body, bytes):
        headers["transfer-encoding"] = "chunked"
    elif answer.status not in _BODYLESS:
        headers.setdefault("content-length", str(len(body)))
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()
    if head_only or (isinstance(body, bytes) and answer.status in _BODYLESS):
        return
    if isinstance(body, bytes):
        writer.write(body)
    else:
        await _steps(writer, body, chunked=True)
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _steps(writer: asyncio.StreamWriter, steps: Iterable[Step], *, chunked: bool) -> None:
    for step in steps:
        match step:
            case bytes():
                if step:
                    writer.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
                    await writer.drain()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Until(event):
                while not event.is_set():  # noqa: ASYNC110 - it is a thread's event
                    await asyncio.sleep(_POLL)
            case Forever():
                await asyncio.Event().wait()
            case Call(function):
                function()
            case Cut(reset):
                _cut(writer, reset=reset)


def _cut(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        # Closing a socket that lingers for zero seconds resets the connection.
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError("the script cuts the connection here")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
