"""The identity provider's token endpoint: a grant for tokens, spent once."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from arkor.client.answers import strike
from arkor.client.transport import open_http
from arkor.errors import BackendUnreachableError, CloudApiError, ProtocolError

__all__ = ["Tokens", "provider_url", "request_tokens"]

_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_LONGEST_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant was exchanged for; `refresh_token` is `None` if the answer has none.

    `expires_in` is in seconds.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int


def provider_url(domain: str) -> str:
    """The provider's address. Only one on this machine, as tests have it, goes without TLS."""
    scheme = "http" if domain.partition(":")[0] == "127.0.0.1" else "https"
    return f"{scheme}://{domain}"


async def request_tokens(
    domain: str, grant: dict[str, str], *, http: httpx.AsyncClient | None = None
) -> Tokens:
    """Exchange a grant for tokens (RFC 6749, 4.1.3 and 6). Asked once: a grant is good for one.

    Raises `CloudApiError` for a refusal, `BackendUnreachableError`, `ProtocolError`. No value
    of `grant` and no token stands in them.
    """
    async with AsyncExitStack() as stack:
        if http is None:
            http = await stack.enter_async_context(open_http())
        try:
            response = await http.post(
                f"{provider_url(domain)}/oauth/token", json=grant, timeout=_TIMEOUT
            )
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise BackendUnreachableError(
                f"the identity provider {domain} cannot be reached: {reason}"
            ) from error
    value = _object(response)
    if not response.is_success:
        raise _refusal(response.status_code, value, grant)
    match value:
        case {"access_token": str(access), "expires_in": int(seconds)} if access:
            rotated = value.get("refresh_token")
            return Tokens(
                access, rotated if isinstance(rotated, str) and rotated else None, seconds
            )
    raise ProtocolError(
        f"the tokens of {domain} need `access_token` and `expires_in`, "
        f"and the answer has {sorted(map(str, value))}"
    )


def _object(response: httpx.Response) -> dict[str, Any]:
    # The JSON library's error carries the body along, and in the body are tokens.
    try:
        value = json.loads(response.content)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    if response.is_success:
        raise ProtocolError(
            f"the identity provider {response.url.host} answered {response.status_code} "
            "with a body that is not a JSON object"
        )
    return {}


def _refusal(status: int, value: dict[str, Any], grant: dict[str, str]) -> CloudApiError:
    """The error of RFC 6749, 5.2; what it repeats of the grant is struck."""
    secrets = [each for key, each in grant.items() if key not in ("grant_type", "client_id")]
    said = [value.get(key) for key in ("error", "error_description", "message")]
    texts = [strike(text, secrets)[:_LONGEST_TEXT] for text in said if isinstance(text, str)]
    code = texts[0] if isinstance(value.get("error"), str) else None
    return CloudApiError(status, ": ".join(texts) or f"status {status}", code=code)
