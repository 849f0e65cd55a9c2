"""`arkor whoami`: whose credentials are used, and where they are kept."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkor.cli.door import Exit
from arkor.cli.place import store_home
from arkor.cli.render import note, show_facts, show_json
from arkor.errors import CloudApiError

if TYPE_CHECKING:
    from arkor.client.transport import HasToken, Refresh
    from arkor.runner.identity import Identity

__all__ = ["whoami"]


def whoami(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whose credentials are used, and where they are kept.

    Exits 0 if the backend accepts them, 1 if there are none or it refuses them, 4 if it cannot
    be reached. JSON: `user` as the backend gives it, `orgs`, the kind of `token`, until when it
    `expires` (RFC 3339, null if it does not say), where it is `stored`, and the `backend`.

    Examples: `arkor whoami`, `arkor whoami --json`
    """
    raise typer.Exit(_whoami(as_json))


@dataclass(frozen=True, slots=True)
class _Account:
    """What is presented to which backend, and where it is kept."""

    url: str
    identity: "HasToken"
    kind: str
    place: str
    expires: str | None = None
    refresh: "Refresh | None" = None


def _whoami(as_json: bool) -> int:
    account = _account(store_home())
    if account is None:
        return Exit.NO
    try:
        me = asyncio.run(_ask(account))
    except CloudApiError as error:
        if error.status not in (401, 403):
            raise
        note(f"error: {account.url} refuses the {account.kind} ({account.place}): {error.message}")
        return Exit.NO
    orgs = [str(org.get("slug") or org.get("id")) for org in me.get("orgs", [])]
    facts = {
        "user": me.get("user"),
        "orgs": orgs,
        "token": account.kind,
        "expires": account.expires,
        "stored": account.place,
        "backend": account.url,
    }
    if as_json:
        show_json(facts)
    else:
        show_facts({**facts, "user": _named(me.get("user")), "orgs": ", ".join(orgs)}.items())
    return Exit.OK


async def _ask(account: _Account) -> dict[str, Any]:
    from arkor.client.api import CloudApiClient

    async with CloudApiClient(account.url, account.identity, refresh=account.refresh) as api:
        return await api.me()


def _named(user: object) -> object:
    """The user by the first name that the backend's open object gives."""
    if isinstance(user, dict):
        return next((user[key] for key in ("email", "name", "id") if user.get(key)), None)
    return user


def _account(home: Path) -> _Account | None:
    from arkor.runner.identity import (
        current_identity,
        default_arkor_cloud_api_url,
        refresh_identity,
        renew_early,
        token_expiry,
    )
    from arkor.runner.local import LOCAL
    from arkor.runner.settings import load_settings

    address = load_settings().backend
    if address == LOCAL:
        return _embedded(home)
    identity = current_identity(home)
    if identity is None:
        note(
            "not signed in: the first run at the cloud makes an anonymous identity, as "
            "`arkor login --anonymous` does; `arkor login` signs in with an account"
        )
        return None
    identity = asyncio.run(renew_early(identity, home))
    url = default_arkor_cloud_api_url(identity) if address is None else address
    kind, place = _described(identity, home)
    ends = token_expiry(identity)
    expires = None if ends is None else datetime.fromtimestamp(ends, UTC).isoformat()
    return _Account(url, identity, kind, place, expires, partial(refresh_identity, identity, home))


def _embedded(home: Path) -> _Account | None:
    from arkor.runner.local import find_backend
    from arkor.store.paths import backend_path

    backend = find_backend(home)
    if backend is None:
        note("the embedded backend is not running: `arkor backend start` starts it")
        return None
    place = str(backend_path(home) / "server.json")
    return _Account(backend.url, backend, "token of the embedded backend", place)


def _described(identity: "Identity", home: Path) -> tuple[str, str]:
    """The kind of a token, and where it is kept."""
    from arkor.store.credentials import AnonymousCredentials, OAuthCredentials, in_keyring
    from arkor.store.paths import credentials_path

    own = credentials_path(home)
    place = str(own if own.exists() else Path.home() / ".arkor" / "credentials.json")
    if own.exists() and in_keyring(home):
        place = f"in the keyring, as {own} says"
    match identity:
        case AnonymousCredentials():
            return "anonymous token", place
        case OAuthCredentials(refresh_token=""):
            return "OAuth access token that is not renewed", place
        case OAuthCredentials():
            return "OAuth access token", place
        case _:
            return "access token", "in the environment (ARKOR_TOKEN)"
