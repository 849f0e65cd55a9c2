"""Signing in with an account: authorization code with PKCE (RFC 7636) over a loopback redirect.

RFC 8252 describes it for programs without a server of their own.
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self
from urllib.parse import urlencode

import httpx

from arkor.client.auth import CliConfig
from arkor.client.loopback import open_loopback
from arkor.client.provider import Tokens, provider_url, request_tokens
from arkor.errors import CloudApiError, ConfigError, ProtocolError

__all__ = ["PATIENCE", "SCOPE", "Secret", "sign_in"]

SCOPE: Final = "openid profile email offline_access"
PATIENCE: Final = 300.0
"""Seconds in which a person has signed in."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What proves that the code is for whoever asked; `challenge` alone is shown beforehand."""

    verifier: str = field(repr=False)
    challenge: str
    state: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """A secret of 32 random bytes, and a state of 16."""
        verifier = secrets.token_urlsafe(32)
        digest = sha256(verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        return cls(verifier, challenge, secrets.token_urlsafe(16))


async def sign_in(
    config: CliConfig,
    on_url: Callable[[str], None],
    *,
    timeout: float = PATIENCE,
    http: httpx.AsyncClient | None = None,
) -> Tokens:
    """The tokens of whoever signs in at the address that `on_url` gets.

    Raises `ConfigError` if the backend offers no OAuth, `ArkorError` for a refusal or after
    `timeout` seconds, `CloudApiError` if the code is refused, `BackendUnreachableError`,
    `ProtocolError`.
    """
    domain, client_id, audience = config.auth0_domain, config.client_id, config.audience
    if not (domain and client_id and audience):
        raise ConfigError("OAuth is not configured at this backend; use `arkor login --anonymous`")
    secret = Secret.new()
    async with open_loopback(secret.state, config.callback_ports) as page:
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": page.redirect_uri,
            "scope": SCOPE,
            "audience": audience,
            "state": secret.state,
            "code_challenge": secret.challenge,
            "code_challenge_method": "S256",
        }
        on_url(f"{provider_url(domain)}/authorize?{urlencode(query)}")
        grant = {
            "grant_type": "authorization_code",
            "code": await page.code(timeout),
            "code_verifier": secret.verifier,
            "client_id": client_id,
            "redirect_uri": page.redirect_uri,
        }
    return await _exchange(domain, grant, http)


async def _exchange(domain: str, grant: dict[str, str], http: httpx.AsyncClient | None) -> Tokens:
    try:
        tokens = await request_tokens(domain, grant, http=http)
    except CloudApiError as error:
        raise CloudApiError(
            error.status,
            f"token exchange failed: {domain} answered {error.status}: {error.message}",
            code=error.code,
        ) from error
    if tokens.refresh_token is None:
        raise ProtocolError(
            f"{domain} issued no refresh token, so the sign-in would end with its first token: "
            "its API must allow `offline_access`"
        )
    return tokens
