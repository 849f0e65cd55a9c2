"""Getting an identity from the backend."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from arkor.client.addresses import path_of
from arkor.client.answers import read_object
from arkor.client.provider import Tokens, request_tokens
from arkor.client.transport import Request, Transport, open_http
from arkor.errors import AnonymousTokenRejectedError, CloudApiError, ProtocolError

__all__ = [
    "AnonymousIdentity",
    "CliConfig",
    "cli_config",
    "refresh_tokens",
    "request_anonymous_token",
]


@dataclass(frozen=True, slots=True)
class AnonymousIdentity:
    """A fresh identity without an account, in an organisation of its own."""

    token: str = field(repr=False)
    anonymous_id: str
    kind: str
    org_slug: str


@dataclass(frozen=True, slots=True)
class CliConfig:
    """How a command line signs in here; the texts are `None` where OAuth is not offered."""

    auth0_domain: str | None
    client_id: str | None
    audience: str | None
    callback_ports: tuple[int, ...] = ()

    @property
    def oauth(self) -> bool:
        """Whether signing in with an account is possible."""
        return bool(self.auth0_domain and self.client_id and self.audience)


async def request_anonymous_token(
    base_url: str, kind: Literal["cli", "web"] = "cli", *, http: httpx.AsyncClient | None = None
) -> AnonymousIdentity:
    """Ask for a new anonymous identity; each call makes another.

    Raises `AnonymousTokenRejectedError` for a refusal, `BackendUnreachableError`,
    `ProtocolError`.
    """
    async with _transport(base_url, http) as transport:
        try:
            response = await transport.send(
                Request(
                    "POST",
                    path_of("v1", "auth", "anonymous"),
                    json={"kind": kind},
                    confidential=True,
                )
            )
        except CloudApiError as error:
            raise AnonymousTokenRejectedError(
                error.status,
                f"{transport.host} issued no anonymous identity ({error.status}): {error.message}",
                code=error.code,
                retry_after=error.retry_after,
            ) from error
        value = read_object(response, (), quoted=False)
    return _identity(value)


async def cli_config(base_url: str, *, http: httpx.AsyncClient | None = None) -> CliConfig:
    """How to sign in at this backend. Raises `CloudApiError`, `BackendUnreachableError`."""
    async with _transport(base_url, http) as transport:
        response = await transport.send(Request("GET", path_of("v1", "auth", "cli", "config")))
        value = read_object(response, ())
    ports = value.get("callbackPorts")
    return CliConfig(
        auth0_domain=_text(value, "auth0Domain"),
        client_id=_text(value, "clientId"),
        audience=_text(value, "audience"),
        callback_ports=tuple(port for port in ports if isinstance(port, int))
        if isinstance(ports, list)
        else (),
    )


async def refresh_tokens(
    domain: str, client_id: str, refresh_token: str, *, http: httpx.AsyncClient | None = None
) -> Tokens:
    """Spend a refresh token at the identity provider (RFC 6749, 6).

    Without rotation the old one stays good, and stands in the tokens again. Raises as
    `request_tokens` does.
    """
    grant = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    tokens = await request_tokens(domain, grant, http=http)
    return replace(tokens, refresh_token=tokens.refresh_token or refresh_token)


@asynccontextmanager
async def _transport(base_url: str, http: httpx.AsyncClient | None) -> AsyncIterator[Transport]:
    async with AsyncExitStack() as stack:
        if http is None:
            http = await stack.enter_async_context(open_http())
        yield Transport(base_url, None, http=http)


def _identity(value: Mapping[str, Any]) -> AnonymousIdentity:
    match value:
        case {
            "token": str(token),
            "anonymousId": str(anonymous_id),
            "kind": str(kind),
            "personalOrg": {"slug": str(org_slug)},
        }:
            return AnonymousIdentity(token, anonymous_id, kind, org_slug)
    # Its values are left out of the message: one of them may be a token.
    raise ProtocolError(
        "an anonymous identity needs `token`, `anonymousId`, `kind` and `personalOrg.slug`, "
        f"and this one has {sorted(map(str, value))}"
    )


def _text(value: Mapping[str, Any], key: str) -> str | None:
    given = value.get(key)
    return given if isinstance(given, str) else None
