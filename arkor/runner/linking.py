"""Linking a folder to a project at the backend: which ones there are, and choosing one."""

from dataclasses import dataclass
from pathlib import Path

from arkor.client.api import CloudApiClient
from arkor.core.wire import Scope
from arkor.errors import CloudApiError, ConfigError, CredentialsError, ProjectStateError
from arkor.runner.identity import (
    Identity,
    current_identity,
    default_arkor_cloud_api_url,
    refresh_identity,
)
from arkor.runner.local import LOCAL
from arkor.runner.settings import load_settings
from arkor.store.credentials import AnonymousCredentials
from arkor.store.state import ProjectState, write_state

__all__ = ["Account", "Choice", "find_account", "link_project"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A project within reach."""

    org_slug: str
    slug: str
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.org_slug}/{self.slug}"


class Account:
    """What an identity reaches at the backend of the settings.

    Its coroutines raise what `CloudApiClient` does.
    """

    def __init__(self, address: str, identity: Identity, home: Path) -> None:
        self._address = address
        self._identity = identity
        self._home = home

    async def organisations(self) -> list[str]:
        """The slugs of the organisations within reach, in the backend's order."""
        async with self._api() as api:
            me = await api.me()
        found = [str(org.get("slug") or org.get("id")) for org in me.get("orgs", [])]
        # An anonymous identity knows its own, whatever the backend lists.
        if isinstance(self._identity, AnonymousCredentials):
            found = list(dict.fromkeys([self._identity.org_slug, *found]))
        return found

    async def projects(self, org_slug: str) -> list[Choice]:
        """The projects of an organisation."""
        async with self._api() as api:
            return [
                Choice(org_slug, each["slug"], each["name"], each["id"])
                for each in await api.list_projects(org_slug)
            ]

    async def choices(self) -> list[Choice]:
        """All projects within reach."""
        return [each for org in await self.organisations() for each in await self.projects(org)]

    async def find(self, scope: Scope) -> Choice | None:
        """The project of that scope; `None` if the organisation has none of that slug.

        Raises `ProjectStateError` if the organisation is not within reach.
        """
        orgs = await self.organisations()
        if scope.org_slug not in orgs:
            raise ProjectStateError(
                f"this identity does not see the organisation {scope.org_slug!r}; it sees "
                f"{', '.join(orgs) or 'none'}. `arkor whoami` says whose it is, `arkor login` "
                "signs in with another"
            )
        projects = await self.projects(scope.org_slug)
        return next((each for each in projects if each.slug == scope.project_slug), None)

    async def create(self, scope: Scope, name: str) -> Choice:
        """Make a project; one that somebody made in the meantime is taken."""
        try:
            async with self._api() as api:
                made = await api.create_project(scope.org_slug, name, scope.project_slug)
        except CloudApiError as error:
            if error.status != 409 or (there := await self.find(scope)) is None:
                raise
            return there
        return Choice(scope.org_slug, made["slug"], made["name"], made["id"])

    def _api(self) -> CloudApiClient:
        return CloudApiClient(self._address, self._identity, refresh=self._refreshed)

    async def _refreshed(self) -> Identity | None:
        fresh = await refresh_identity(self._identity, self._home)
        if fresh is not None:
            self._identity = fresh
        return fresh


def find_account(home: Path) -> Account:
    """The account that projects are chosen from.

    Raises `ConfigError` for the embedded backend, `CredentialsError` if nobody is signed in.
    """
    address = load_settings(home=home).backend
    if address == LOCAL:
        raise ConfigError(
            "the embedded backend makes a project of each folder by itself: there is nothing to "
            "link. For the cloud's projects set another backend (ARKOR_CLOUD_API_URL)",
            field="backend",
        )
    identity = current_identity(home)
    if identity is None:
        raise CredentialsError(
            "nobody is signed in; run `arkor login`, or set ARKOR_TOKEN to an access token"
        )
    if address is None:
        address = default_arkor_cloud_api_url(identity)
    return Account(address, identity, home)


def link_project(choice: Choice, root: Path, home: Path) -> None:
    """Link the folder at `root` to a project. Raises `JournalError` if it cannot be written."""
    write_state(ProjectState(choice.org_slug, choice.slug, choice.id), root, home)
