"""Signing in on this machine and out of it: what is stored, and what is asked of whom."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from arkor.client.api import CloudApiClient
from arkor.client.auth import CliConfig, request_anonymous_token
from arkor.client.oauth import PATIENCE
from arkor.client.oauth import sign_in as sign_in_at_provider
from arkor.errors import ConfigError
from arkor.runner.identity import EnvironmentToken, token_expiry, wants_keyring
from arkor.store.credentials import (
    AnonymousCredentials,
    Credentials,
    OAuthCredentials,
    credentials_path,
    delete_credentials,
    hold_credentials,
)

__all__ = ["sign_in_anonymously", "sign_in_with_oauth", "sign_in_with_token", "sign_out"]

LONGEST_WAIT: Final = 60.0
"""Seconds for which another process that exchanges the credentials is waited for."""


async def sign_in_anonymously(home: Path, address: str) -> AnonymousCredentials:
    """A new identity, stored in the place of whatever is there.

    Raises `AnonymousTokenRejectedError`, `BackendUnreachableError`, `CredentialsError`.
    """
    issued = await request_anonymous_token(address)
    fresh = AnonymousCredentials(
        token=issued.token,
        anonymous_id=issued.anonymous_id,
        org_slug=issued.org_slug,
        arkor_cloud_api_url=address,
    )
    await asyncio.to_thread(_store, fresh, home)
    return fresh


async def sign_in_with_oauth(
    home: Path,
    address: str,
    config: CliConfig,
    on_url: Callable[[str], None],
    *,
    timeout: float = PATIENCE,
) -> OAuthCredentials:
    """The account of whoever signs in at the URL that `on_url` gets, stored.

    Raises what `arkor.client.oauth.sign_in` raises, and `CredentialsError`; until it returns
    whatever was stored before is still there.
    """
    tokens = await sign_in_at_provider(config, on_url, timeout=timeout)
    fresh = OAuthCredentials(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or "",
        expires_at=int(time.time()) + tokens.expires_in,
        auth0_domain=config.auth0_domain or "",
        audience=config.audience or "",
        client_id=config.client_id or "",
        arkor_cloud_api_url=address,
    )
    await asyncio.to_thread(_store, fresh, home)
    return fresh


async def sign_in_with_token(home: Path, address: str, token: str) -> OAuthCredentials:
    """An access token from elsewhere, stored once the backend accepts it.

    It is kept as an OAuth record without a refresh token, so it ends when it ends; `expires_at`
    is what the token says of itself, 0 if nothing. Raises `ConfigError` for a text that is no
    token, `CloudApiError` if it is refused, `BackendUnreachableError`, `CredentialsError`.
    """
    if not token or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError("standard input holds no access token: it must be one word of ASCII")
    async with CloudApiClient(address, EnvironmentToken(token)) as api:
        await api.me()
    fresh = OAuthCredentials(
        access_token=token,
        refresh_token="",
        expires_at=int(token_expiry(EnvironmentToken(token)) or 0),
        auth0_domain="",
        audience="",
        client_id="",
        arkor_cloud_api_url=address,
    )
    await asyncio.to_thread(_store, fresh, home)
    return fresh


def sign_out(home: Path) -> bool:
    """Remove the stored credentials, and nothing else. False if there are none.

    A process that is getting new ones in exchange is waited for: it would store them again.
    Raises `CredentialsError` if the file cannot be removed.
    """
    if not credentials_path(home).exists():
        return False
    with hold_credentials(home, timeout=LONGEST_WAIT):
        return delete_credentials(home)


def _store(credentials: Credentials, home: Path) -> None:
    place = wants_keyring()
    with hold_credentials(home, timeout=LONGEST_WAIT, in_keyring=place) as write:
        write(credentials)
