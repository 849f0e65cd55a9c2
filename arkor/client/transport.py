"""One request to the backend: its headers, its tries, and what its failures become."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

import httpx

from arkor.client.addresses import host_of, redirect_of, url_of
from arkor.client.answers import LONGEST_ERROR_BODY, error_of
from arkor.client.notices import DeprecationHandler, notify, read_deprecation, sdk_version
from arkor.client.retry import Backoff, is_transient, parse_http_date
from arkor.errors import BackendUnreachableError, CloudApiError, CredentialsError

__all__ = [
    "HasToken",
    "HasTransport",
    "NeverSentError",
    "Refresh",
    "Request",
    "Secrets",
    "Transport",
    "open_http",
]

TRIES: Final = 3
FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 30.0
"""Seconds of a `Retry-After` that an ordinary call sits out; a longer one is its caller's."""

MAX_REDIRECTS: Final = 5
CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT"})  # RFC 9110, 9.2.2
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class HasToken(Protocol):
    """Credentials, as far as a request needs them."""

    @property
    def token(self) -> str:
        """The bearer token."""
        ...


Refresh = Callable[[], Awaitable[HasToken | None]]
"""Gets new credentials for ones that the backend refused with 401; `None` if there are none."""

Secrets = Callable[[], Iterable[str]]
"""Gives the texts that, besides the token in use, must stand in no error."""


class NeverSentError(BackendUnreachableError):
    """No connection was made, so the backend has seen nothing of the request."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `path` is percent-encoded; `content` makes the body anew for each try.

    `read_timeout` is the longest silence, in seconds, while an answer is awaited or read. What
    is repeatable is sent up to `tries` times. The answer to one that is `confidential` may hold a
    secret that nobody knows yet, and is quoted in no error.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: Callable[[], AsyncIterator[bytes]] | None = None
    read_timeout: float = READ_TIMEOUT
    tries: int = TRIES
    confidential: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether asking twice does no more than asking once."""
        return self.method in _IDEMPOTENT or "Idempotency-Key" in self.headers


class HasTransport(Protocol):
    """Whatever has a way to the backend; in practice `CloudApiClient`."""

    @property
    def transport(self) -> "Transport":
        """The way."""
        ...


def open_http() -> httpx.AsyncClient:
    """An HTTP client for the backend: nothing meant for this machine goes through a proxy."""
    direct: dict[str, httpx.AsyncBaseTransport | None] = {
        f"all://{host}": None for host in _LOOPBACK
    }
    trust = _trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return httpx.AsyncClient(verify=trust, follow_redirects=False, mounts=direct)


@lru_cache(maxsize=4)
def _trust(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Who is trusted, by the variables that OpenSSL reads.

    Made once: reading all certificates takes some 30 ms, and a client is made for each run.
    """
    return httpx.create_ssl_context()


class Transport:
    """The way to one backend with one identity. Its `repr` shows no token.

    `clock_offset` is by how many seconds the backend's clock was ahead of ours when it last
    answered with a `Date`, or `None`. What `secrets` gives is struck from the errors it raises,
    as is the token: a backend that explains a refusal may repeat what it was sent.
    """

    def __init__(
        self,
        base_url: str,
        credentials: HasToken | None,
        *,
        http: httpx.AsyncClient,
        on_deprecation: DeprecationHandler | None = None,
        refresh: Refresh | None = None,
        secrets: Secrets = tuple,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.clock_offset: float | None = None
        self._credentials = credentials
        self._http = http
        self._on_deprecation = on_deprecation
        self._refresh = refresh
        self._known_secrets = secrets

    def __repr__(self) -> str:
        return f"Transport({self.host!r})"

    @property
    def host(self) -> str:
        """The backend's host and port, for messages."""
        return host_of(self.base_url)

    @property
    def secrets(self) -> frozenset[str]:
        """The token in use and all other secrets, so that they can be kept out of texts."""
        return frozenset(filter(None, (self._token, *self._known_secrets())))

    @property
    def _token(self) -> str:
        return self._credentials.token if self._credentials else ""

    async def refresh(self) -> bool:
        """Get a new token. False if this identity cannot."""
        fresh = await self._refresh() if self._refresh else None
        self._credentials = fresh or self._credentials
        return fresh is not None

    async def send(self, request: Request) -> httpx.Response:
        """The whole answer, of a status in 2xx.

        What can be repeated is, `tries` times in all; a 401 once more with a refreshed token.
        Raises `CloudApiError` for a refusal, `BackendUnreachableError` if nothing answered
        (`NeverSentError` if that is certain to have had no effect).
        """
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        refreshed = False
        sent = False
        while True:
            again = request.repeatable and backoff.failures < request.tries - 1
            try:
                async with self.open(request) as response:
                    await _read_all(response, self.host)
                    return response
            except CloudApiError as error:
                if error.status == 401 and not refreshed and await self.refresh():
                    refreshed = True
                    continue
                wait = error.retry_after or 0.0
                if not again or not is_transient(error.status) or wait > LONGEST_WAIT:
                    raise
                sent = True
                await asyncio.sleep(backoff.next_delay(error.retry_after))
            except BackendUnreachableError as error:
                sent = sent or not isinstance(error, NeverSentError)
                if not again:
                    raise self._unreachable(request, error, sent=sent) from error.__cause__
                await asyncio.sleep(backoff.next_delay())

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[httpx.Response]:
        """One try: an answer of a status in 2xx, its body not yet read; closed on the way out.

        Raises as `send` does. Redirects are followed on the same origin.
        """
        async with AsyncExitStack() as stack:
            url = url_of(self.base_url, request.path, request.query)
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._head(request, url)
                stack.push_async_callback(response.aclose)
                target = redirect_of(response)
                if target is None:
                    break
                url = target
            if not response.is_success:
                body = await self._error_body(response)
                quoted = not request.confidential
                raise error_of(response, body, self.secrets, quoted=quoted)
            yield response

    async def _head(self, request: Request, url: httpx.URL) -> httpx.Response:
        outgoing = self._http.build_request(
            request.method,
            url,
            headers=self._headers(request),
            json=request.json,
            content=request.content() if request.content else None,
            timeout=httpx.Timeout(
                request.read_timeout, connect=CONNECT_TIMEOUT, pool=CONNECT_TIMEOUT
            ),
        )
        try:
            response = await self._http.send(outgoing, stream=True, follow_redirects=False)
        except _NEVER_SENT as error:
            raise NeverSentError(
                f"{self.host} cannot be reached ({_reason(error)}); "
                "is the address right and the backend running?"
            ) from error
        except httpx.TransportError as error:
            raise BackendUnreachableError(
                f"{self.host} did not answer {request.method} {request.path}: {_reason(error)}"
            ) from error
        self._note_date(response)
        if notice := read_deprecation(response.headers):
            await notify(notice, self._on_deprecation)
        return response

    def _headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        headers = {"X-Arkor-Client": f"arkor/{sdk_version()}", **request.headers}
        if token := self._token:
            # Refused here: httpx would quote the whole header in its error.
            if not (token.isascii() and token.isprintable()):
                raise CredentialsError("the token holds characters that no HTTP header can carry")
            headers["Authorization"] = f"Bearer {token}"
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def _note_date(self, response: httpx.Response) -> None:
        if date := parse_http_date(response.headers.get("date", "")):
            self.clock_offset = date.timestamp() - time.time()

    async def _error_body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LONGEST_ERROR_BODY:
                    break
        except httpx.HTTPError as error:
            # The status has been said; a body cut short makes it no less true. What came of it
            # may end in the middle of a secret.
            return f"the body broke off: {_reason(error)}".encode()
        return bytes(body[:LONGEST_ERROR_BODY])

    def _unreachable(
        self, request: Request, error: BackendUnreachableError, *, sent: bool
    ) -> BackendUnreachableError:
        if request.method != "POST":
            return error
        if not sent:
            return NeverSentError(f"{error} Nothing was sent")
        return BackendUnreachableError(f"{error}; it is not known whether the request took effect")


async def _read_all(response: httpx.Response, host: str) -> None:
    try:
        await response.aread()
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise BackendUnreachableError(
            f"the answer of {host} to {response.request.method} {response.url.path} "
            f"broke off: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return str(error) or type(error).__name__
