"""Everything around a run, resolved once: the store, the backend, who we are, which project."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx

from arkor.client.api import CloudApiClient
from arkor.client.transport import HasToken, open_http
from arkor.core.wire import Scope
from arkor.errors import ConfigError
from arkor.runner.identity import (
    CLOUD,
    Identity,
    default_arkor_cloud_api_url,
    ensure_credentials,
    refresh_identity,
    renew_early,
)
from arkor.runner.local import LOCAL, LocalBackend, ensure_backend, find_backend
from arkor.runner.options import TrainerOptions
from arkor.runner.scope import ensure_project, resolve_scope
from arkor.runner.settings import load_settings
from arkor.store.credentials import OAuthCredentials
from arkor.store.paths import home as find_home
from arkor.store.state import project_root

__all__ = ["Session", "home_of", "open_session", "reopen_session"]

MASK: Final = re.compile(r"\[secret:[0-9a-f]{16}\]")
"""What the journal keeps in the place of a secret."""


@dataclass(slots=True)
class Session:
    """One identity at one backend, for one project. Its requests are made on Arkor's thread.

    `address` is what was asked for and what the journal keeps: a URL, or `local` for the
    embedded backend, wherever that listens at the moment. `identity` is `None` there.
    """

    home: Path
    root: Path
    address: str
    scope: Scope
    options: TrainerOptions
    identity: Identity | None = None
    _backend: LocalBackend | None = None
    _reached: bool = False
    _http: httpx.AsyncClient | None = None
    _users: int = 0
    _closing: bool = False
    _secrets: set[str] = field(default_factory=set, repr=False)

    @property
    def secrets(self) -> frozenset[str]:
        """Every token this session has used; none of them may reach the log."""
        return frozenset(self._secrets)

    def keep_secret(self, secret: str) -> None:
        """Keep one more text out of the log, and out of errors."""
        self._secrets.add(secret)

    def keep_token_of(self, config: Mapping[str, Any]) -> None:
        """Keep the dataset's token in a job's config secret; a mask of one is none."""
        source = config.get("datasetSource")
        token = source.get("token") if isinstance(source, Mapping) else None
        if isinstance(token, str) and token and not MASK.fullmatch(token):
            self.keep_secret(token)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[CloudApiClient]:
        """A client of the backend. An embedded one that is not running is started.

        A token that is about to end is renewed first.
        """
        if self.identity is None and self._backend is None:
            self._backend = await asyncio.to_thread(ensure_backend, self.home, again=self._reached)
            self._reached = True
        if self.identity is not None:
            self.identity = await renew_early(self.identity, self.home)
        self._users += 1
        try:
            yield self._api()
        finally:
            self._users -= 1
            if self._closing:
                await self.close()

    def lost(self) -> None:
        """Look for the embedded backend anew at the next request: this one failed."""
        self._backend = None

    async def refresh(self) -> bool:
        """Get a fresh token after a 401. False if this identity cannot have one."""
        self.lost()
        if self.identity is None:
            return True
        fresh = await refresh_identity(self.identity, self.home)
        if fresh is not None:
            self.identity = fresh
            self._secrets.update(_secrets_of(fresh))
        return fresh is not None

    def _known(self) -> frozenset[str]:
        return self.secrets

    async def _refreshed(self) -> HasToken | None:
        return self.identity if await self.refresh() else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections once nobody uses one; the next request opens new ones."""
        self._closing = self._users > 0
        if self._http is not None and not self._closing:
            http, self._http = self._http, None
            await http.aclose()

    def _api(self) -> CloudApiClient:
        if self._backend is not None:
            token = _Bearer(self._backend.token)
            self._secrets.add(token.token)
            return CloudApiClient(
                self._backend.url, token, http=self._client(), secrets=self._known
            )
        assert self.identity is not None
        self._secrets.update(_secrets_of(self.identity))
        return CloudApiClient(
            self.address,
            self.identity,
            http=self._client(),
            refresh=self._refreshed,
            secrets=self._known,
        )

    def _client(self) -> httpx.AsyncClient:
        if self.options.http is not None:
            return self.options.http
        if self._http is None:
            self._http = open_http()
        return self._http


@dataclass(frozen=True, slots=True)
class _Bearer:
    token: str = field(repr=False)


def home_of(options: TrainerOptions) -> Path:
    """The folder of the store: of the options, else of the settings. Raises `ConfigError`."""
    return find_home(load_settings(options.cwd, home=options.home).home)


async def open_session(options: TrainerOptions) -> Session:
    """Resolve everything around a run; the embedded backend is started if it is asked for.

    Raises `ConfigError` for settings that cannot work, `CredentialsError`,
    `ProjectStateError`, and what the backend's refusals raise.
    """
    root = project_root(options.cwd)
    settings = load_settings(options.cwd, backend=options.base_url, home=options.home)
    home = find_home(settings.home)
    if settings.backend == LOCAL or _is_embedded(settings.backend, options, home):
        session = Session(home, root, LOCAL, Scope(LOCAL, ""), options)
    else:
        identity = options.credentials or await ensure_credentials(
            home=home, base_url=settings.backend
        )
        address = settings.backend
        if address is None:
            address = default_arkor_cloud_api_url(identity)
        session = Session(home, root, address, Scope("", ""), options, identity)
    try:
        async with session.connect() as api:
            session.scope = await _scope(session, api)
    except BaseException:
        await session.close()
        raise
    return session


async def _scope(session: Session, api: CloudApiClient) -> Scope:
    if session.identity is None:
        project = await ensure_project(api, LOCAL, session.root)
        return Scope(LOCAL, project["slug"])
    return await resolve_scope(api, session.identity, root=session.root, home=session.home)


async def reopen_session(
    options: TrainerOptions, *, root: Path, address: str, scope: Scope
) -> Session:
    """The session of a recorded run: its own project at its own backend, with our identity.

    Raises `ConfigError` if our identity, or what `options` pin, is for another backend than the
    one at `address`: a token is sent to nobody but whom it is for.
    """
    home = home_of(options)
    asked = load_settings(options.cwd or root, backend=options.base_url).backend
    if _is_embedded(asked, options, home):
        asked = LOCAL
    if options.base_url is not None and asked != address:
        raise ConfigError(
            f"the run was recorded at {_shown(address)}, and options.base_url is "
            f"{_shown(asked)}: leave it out, or give that one",
            field="options.base_url",
        )
    identity: Identity | None = options.credentials
    if address != LOCAL:
        identity = identity or await ensure_credentials(home=home, base_url=address)
    if identity is not None:
        _check_identity(identity, asked, address)
    return Session(home, root, address, scope, options, None if address == LOCAL else identity)


def _check_identity(identity: Identity, asked: str | None, address: str) -> None:
    """Refuse to send an identity elsewhere than where it is from, or where it is asked to go."""
    its_own = identity.arkor_cloud_api_url
    meant = [asked, None if its_own is None else its_own.rstrip("/")]
    known = [each for each in meant if each is not None] or [CLOUD]
    if address not in known:
        raise ConfigError(
            f"the run was recorded at {_shown(address)}, and the token in use is for "
            f"{' or '.join(map(_shown, known))}: it is not sent elsewhere. If it is good there "
            "too, set ARKOR_CLOUD_API_URL to the run's address",
            field="options.credentials",
        )


def _shown(address: str | None) -> str:
    # A journal of old may hold an address with a password before the @.
    return repr((address or "").rpartition("@")[2])


def _is_embedded(address: str | None, options: TrainerOptions, home: Path) -> bool:
    if address is None or options.credentials is not None or "127.0.0.1" not in address:
        return False
    backend = find_backend(home)
    return backend is not None and backend.url == address.rstrip("/")


def _secrets_of(identity: Identity) -> set[str]:
    if isinstance(identity, OAuthCredentials):
        return {identity.access_token, *filter(None, [identity.refresh_token])}
    return {identity.token}
