"""Who we are to the backend, and where the backend is."""

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from arkor.client.auth import refresh_tokens, request_anonymous_token
from arkor.client.provider import Tokens
from arkor.errors import BackendUnreachableError, CloudApiError
from arkor.runner.settings import load_settings
from arkor.store.credentials import (
    AnonymousCredentials,
    Credentials,
    OAuthCredentials,
    hold_credentials,
    read_credentials,
)
from arkor.store.paths import home as find_home

__all__ = [
    "CLOUD",
    "EnvironmentToken",
    "Identity",
    "current_identity",
    "default_arkor_cloud_api_url",
    "ensure_credentials",
    "refresh_identity",
    "renew_early",
    "token_expiry",
    "wants_keyring",
]

CLOUD: Final = "https://api.arkor.ai"
"""The managed cloud."""

LONGEST_EXCHANGE: Final = 60.0
"""Seconds for which another process that gets new credentials is waited for."""


EARLY: Final = 60.0
"""Seconds before its end at which a token is renewed: longer than a request takes."""


@dataclass(frozen=True, slots=True)
class EnvironmentToken:
    """The access token in `ARKOR_TOKEN`: never stored, never refreshed."""

    token: str = field(repr=False)
    arkor_cloud_api_url: str | None = None


Identity = Credentials | EnvironmentToken


def default_arkor_cloud_api_url(credentials: Identity | None = None) -> str:
    """`ARKOR_CLOUD_API_URL`, else the address the credentials came from, else the cloud's.

    A variable that exists but is empty counts, so that a misconfiguration fails at the first
    request instead of reaching production.
    """
    given = os.environ.get("ARKOR_CLOUD_API_URL")
    if given is None and credentials is not None:
        given = credentials.arkor_cloud_api_url
    return CLOUD if given is None else given.rstrip("/")


def current_identity(home: Path | None = None) -> Identity | None:
    """`ARKOR_TOKEN`, else the stored credentials, else `None`."""
    if token := os.environ.get("ARKOR_TOKEN"):
        return EnvironmentToken(token)
    return read_credentials(home)


async def ensure_credentials(
    *, home: Path | str | None = None, base_url: str | None = None
) -> Identity:
    """The current identity, else a new anonymous one, which is stored.

    Two processes that ask at once get the same one. Without `home` they are those that
    `read_credentials` reads. Raises `CredentialsError` if there is a
    file that cannot be used, `AnonymousTokenRejectedError` if the backend issues none.
    """
    folder = find_home(home)
    if identity := current_identity(folder):
        return identity
    address = base_url or default_arkor_cloud_api_url()
    return await asyncio.to_thread(_make_identity, folder, address)


def _make_identity(folder: Path, address: str) -> Identity:
    place = wants_keyring()
    with hold_credentials(folder, timeout=LONGEST_EXCHANGE, in_keyring=place) as write:
        # Whoever held the lock before may have made one.
        if identity := current_identity(folder):
            return identity
        issued = asyncio.run(request_anonymous_token(address))
        fresh = AnonymousCredentials(
            token=issued.token,
            anonymous_id=issued.anonymous_id,
            org_slug=issued.org_slug,
            arkor_cloud_api_url=address,
        )
        write(fresh)
        return fresh


async def refresh_identity(spent: Identity, home: Path | None = None) -> Identity | None:
    """The identity with fresh tokens, stored before it is used; `None` if it has no refresh.

    Of many processes whose token was refused at once, one spends the refresh token and the
    others find what it stored. Raises `CloudApiError` if the provider refuses.
    """
    if not isinstance(spent, OAuthCredentials) or not spent.refresh_token:
        return None
    return await asyncio.to_thread(_refresh, spent, find_home(home))


async def renew_early(identity: Identity, home: Path | None = None) -> Identity:
    """The identity, with fresh tokens if it has a refresh token and ends within a minute.

    A provider that is out of reach, or refuses, is no failure yet: the token in hand may hold,
    and if it is refused the refresh after that says why not.
    """
    if not isinstance(identity, OAuthCredentials) or not identity.refresh_token:
        return identity
    if identity.expires_at - time.time() > EARLY:
        return identity
    try:
        return await refresh_identity(identity, home) or identity
    except (CloudApiError, BackendUnreachableError):
        return identity


def wants_keyring() -> bool:
    """Whether the settings ask for a new sign-in to be kept in the keyring."""
    return load_settings().credentials == "keyring"


def token_expiry(identity: Identity) -> float | None:
    """Until when its token holds, as Unix time in seconds; `None` if nothing says so.

    That is what was stored with it, else the `exp` of a JSON web token (RFC 7519, 4.1.4),
    unverified.
    """
    if isinstance(identity, OAuthCredentials):
        return identity.expires_at or None
    _, _, rest = identity.token.partition(".")
    claims, _, _ = rest.partition(".")
    try:
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except ValueError:
        return None
    exp = said.get("exp") if isinstance(said, dict) else None
    return float(exp) if isinstance(exp, int | float) and not isinstance(exp, bool) else None


def _refresh(spent: OAuthCredentials, folder: Path) -> Identity:
    with hold_credentials(folder, timeout=LONGEST_EXCHANGE) as write:
        stored = read_credentials(folder)
        ours = isinstance(stored, OAuthCredentials) and _same_account(stored, spent)
        if ours and stored is not None and stored.token != spent.token:
            return stored
        tokens = asyncio.run(_spend(spent))
        fresh = replace(
            spent,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token or spent.refresh_token,
            expires_at=int(time.time()) + tokens.expires_in,
        )
        if ours:
            write(fresh)
        return fresh


async def _spend(spent: OAuthCredentials) -> Tokens:
    try:
        return await refresh_tokens(spent.auth0_domain, spent.client_id, spent.refresh_token)
    except CloudApiError as error:
        raise CloudApiError(
            error.status,
            f"the sign-in has expired and {spent.auth0_domain} does not renew it "
            f"({error.message}); run `arkor login`",
            code=error.code,
        ) from error


def _same_account(stored: OAuthCredentials, spent: OAuthCredentials) -> bool:
    return (stored.auth0_domain, stored.client_id, stored.audience) == (
        spent.auth0_domain,
        spent.client_id,
        spent.audience,
    )
