"""Who we are to the backend, and where the backend is."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arkor.client.auth import request_anonymous_token
from arkor.store.credentials import AnonymousCredentials, Credentials, read_credentials
from arkor.store.credentials import write_credentials as write
from arkor.store.filelock import file_lock
from arkor.store.paths import ensure_home
from arkor.store.paths import home as find_home

__all__ = [
    "CLOUD",
    "EnvironmentToken",
    "Identity",
    "current_identity",
    "default_arkor_cloud_api_url",
    "ensure_credentials",
]

CLOUD: Final = "https://api.arkor.ai"
"""The managed cloud."""


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

    Two processes that ask at once get the same one. Raises `CredentialsError` if there is a
    file that cannot be used, `AnonymousTokenRejectedError` if the backend issues none.
    """
    folder = find_home(home)
    if identity := current_identity(folder):
        return identity
    address = base_url or default_arkor_cloud_api_url()
    return await asyncio.to_thread(_make_identity, folder, address)


def _make_identity(folder: Path, address: str) -> Identity:
    ensure_home(folder)
    with file_lock(folder / "credentials.lock", timeout=60):
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
        write(fresh, folder)
        return fresh
