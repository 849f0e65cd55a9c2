"""Which organisation and project a run belongs to, found or made."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arkor.client.api import CloudApiClient
from arkor.core.wire import Scope
from arkor.errors import CloudApiError, ConfigError, ProjectStateError
from arkor.runner.identity import EnvironmentToken, Identity
from arkor.store.credentials import AnonymousCredentials
from arkor.store.state import ProjectState, read_state, state_path, write_state

__all__ = ["Link", "ensure_project", "linked_project", "parse_scope", "resolve_scope", "slug_of"]

LONGEST_SLUG: Final = 40


@dataclass(frozen=True, slots=True)
class Link:
    """The project that a folder's runs go to, and where that is said."""

    scope: Scope
    place: str


def linked_project(root: Path, home: Path) -> Link | None:
    """What the folder at `root` is linked to; the backend is not asked.

    That is `ARKOR_PROJECT` beside `ARKOR_TOKEN`, else the store's link, else a `state.json` of
    the TypeScript tools. Raises `JournalError` if the store cannot be read, `ConfigError` for a
    variable that names no project.
    """
    if os.environ.get("ARKOR_TOKEN") and (named := os.environ.get("ARKOR_PROJECT")):
        return Link(parse_scope(named, "ARKOR_PROJECT"), "in the environment (ARKOR_PROJECT)")
    state = read_state(root, home)
    if state is None:
        return None
    return Link(Scope(state.org_slug, state.project_slug), str(state_path(root, home)))


def slug_of(folder: str) -> str:
    """The project slug of a folder: its last name, lower case, `[a-z0-9-]`, 40 at most."""
    name = next((part for part in reversed(re.split(r"[/\\]", folder)) if part), "project")
    slug = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")[:LONGEST_SLUG].strip("-")
    return slug or "project"


async def resolve_scope(
    api: CloudApiClient, identity: Identity, *, root: Path, home: Path
) -> Scope:
    """The scope of the project at `root`; for an anonymous identity it is made if missing.

    Raises `ProjectStateError` if the folder's project belongs to another identity, or if there
    is none and this identity cannot make one.
    """
    if isinstance(identity, EnvironmentToken) and (named := os.environ.get("ARKOR_PROJECT")):
        return parse_scope(named, "ARKOR_PROJECT")
    state = read_state(root, home)
    if not isinstance(identity, AnonymousCredentials):
        if state is None:
            raise ProjectStateError(
                f"{root} is linked to no project; run `arkor link ORG/PROJECT`, "
                "or set ARKOR_TOKEN and ARKOR_PROJECT=org/project"
            )
        return Scope(state.org_slug, state.project_slug)
    if state is not None:
        if state.org_slug != identity.org_slug:
            raise ProjectStateError(
                f"{root} is linked to {state.org_slug}/{state.project_slug}, which belongs to "
                f"another identity than the one signed in ({identity.org_slug}); sign in with "
                f"the account that owns it, or run `arkor unlink` (kept in {state_path(root, home)})"
            )
        return Scope(state.org_slug, state.project_slug)
    project = await ensure_project(api, identity.org_slug, root)
    write_state(ProjectState(identity.org_slug, project["slug"], project["id"]), root, home)
    return Scope(identity.org_slug, project["slug"])


async def ensure_project(api: CloudApiClient, org_slug: str, root: Path) -> dict[str, str]:
    """The project named after `root`: made, or found if its slug is taken."""
    slug = slug_of(str(root))
    try:
        return await api.create_project(org_slug, name=root.name or "project", slug=slug)
    except CloudApiError as error:
        if error.status != 409:
            raise
        for project in await api.list_projects(org_slug):
            if project.get("slug") == slug:
                return project
        raise


def parse_scope(named: str, where: str) -> Scope:
    """The scope of a text `org/project`. Raises `ConfigError`, naming `where`, for any other."""
    org, _, project = named.partition("/")
    if not org or not project or "/" in project:
        raise ConfigError(f"{where} must look like org/project, not {named!r}", field=where)
    return Scope(org, project)
