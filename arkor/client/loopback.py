"""Where the browser comes back to after signing in: one page on a port of this machine."""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, urlsplit

from arkor.errors import ArkorError

__all__ = ["Loopback", "open_loopback"]

HOST: Final = "127.0.0.1"
LONGEST_HEAD: Final = 16 * 1024
PATIENCE: Final = 10.0
"""Seconds in which a browser has sent its request."""

# The code is spent by now; it need not stand in the address bar and the history either.
_SCRIPT: Final = 'history.replaceState(null, "", "/callback")'
_PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Arkor</title>'
    "<h1>Signed in</h1><p>This tab can be closed; the terminal goes on.</p>"
    f"<script>{_SCRIPT}</script></html>"
)
_ALLOWED: Final = f"'sha256-{b64encode(sha256(_SCRIPT.encode()).digest()).decode()}'"


@dataclass(frozen=True, slots=True)
class _Reply:
    status: str
    body: str
    html: bool = False

    def encoded(self) -> bytes:
        body = self.body.encode()
        kind = "text/html" if self.html else "text/plain"
        head = (
            f"HTTP/1.1 {self.status}",
            f"Content-Type: {kind}; charset=utf-8",
            f"Content-Length: {len(body)}",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            f"Content-Security-Policy: default-src 'none'; script-src {_ALLOWED}",
            "Connection: close",
        )
        return "\r\n".join((*head, "", "")).encode() + body


@dataclass(slots=True)
class Loopback:
    """The open page. `strays` are, in words, the callbacks that were not the awaited one."""

    state: str = field(repr=False)
    port: int = 0
    strays: list[str] = field(default_factory=list)
    _code: "asyncio.Future[str]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), repr=False
    )

    @property
    def redirect_uri(self) -> str:
        """The address that the provider sends the browser to."""
        return f"http://{HOST}:{self.port}/callback"

    async def code(self, timeout: float) -> str:
        """The authorization code of the callback that bears our state.

        Anyone can make a browser come here; what does not bear the state is turned away and
        waited past. Raises `ArkorError` if the provider refuses, or after `timeout` seconds.
        """
        try:
            return await asyncio.wait_for(self._code, timeout)
        except TimeoutError as error:
            last = f"; what came was turned away: {self.strays[-1]}" if self.strays else ""
            raise ArkorError(
                f"nobody signed in within {timeout:g} s{last}. "
                "Nothing was stored; run `arkor login` again"
            ) from error

    def answer(self, target: str, host: str) -> _Reply:
        """Answer a request for `target`; the awaited one ends the waiting."""
        url = urlsplit(target)
        # Another name that leads here is somebody else's page (DNS rebinding).
        if url.path != "/callback" or host != f"{HOST}:{self.port}":
            return _Reply("404 Not Found", "not found")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        ours = hmac.compare_digest(query.get("state", "").encode(), self.state.encode())
        if "error" in query:
            return self._refused(_described(query), ours=ours)
        if not query.get("code") or not query.get("state"):
            return self._stray("Authentication failed: the callback lacks `code` or `state`")
        if not ours:
            return self._stray("State mismatch: this callback is not of this sign-in (CSRF?)")
        if not self._code.done():
            self._code.set_result(query["code"])
        return _Reply("200 OK", _PAGE, html=True)

    def _refused(self, text: str, *, ours: bool) -> _Reply:
        if not ours:
            return self._stray(text)
        if not self._code.done():
            self._code.set_exception(ArkorError(f"{text} (nothing was stored)"))
        return _Reply("400 Bad Request", text)

    def _stray(self, text: str) -> _Reply:
        self.strays.append(text)
        return _Reply("400 Bad Request", text)


@asynccontextmanager
async def open_loopback(state: str, ports: Sequence[int]) -> AsyncIterator[Loopback]:
    """Listen on the first of `ports` that is free; 0 is any. Raises `ArkorError` if none is."""
    page = Loopback(state)
    server = await _listen(page, ports)
    page.port = server.sockets[0].getsockname()[1]
    try:
        yield page
    finally:
        # Not waited for: browsers open connections in advance, and keep them.
        server.close()


async def _listen(page: Loopback, ports: Sequence[int]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(_reply(page, await reader.readuntil(b"\r\n\r\n")).encoded())
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # whoever sends half a request is no browser, and is owed no answer
        finally:
            writer.close()

    for port in ports:
        try:
            return await asyncio.start_server(serve, HOST, port, limit=LONGEST_HEAD)
        except OSError:
            continue  # busy or not allowed; the provider knows of the others too
    raise ArkorError(
        f"no port of {', '.join(map(str, ports)) or '(none)'} can be listened on at {HOST}, and "
        "the identity provider sends the browser back to these only (the callbacks of its "
        "application): free one of them, and run `arkor login` again"
    )


def _reply(page: Loopback, head: bytes) -> _Reply:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    if method != "GET":
        return _Reply("405 Method Not Allowed", "only GET")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    return page.answer(rest.partition(" ")[0], headers.get("host", ""))


def _described(query: dict[str, str]) -> str:
    detail = f". {query['error_description']}" if query.get("error_description") else ""
    return f"Authentication failed: {query['error']}{detail}"
