"""The backend as Studio reaches it: for the project that is open, or for a recorded run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arkor.core.wire import Scope
from arkor.errors import CredentialsError
from arkor.runner.identity import current_identity
from arkor.runner.local import LOCAL, find_backend
from arkor.runner.options import TrainerOptions
from arkor.runner.scope import linked_project
from arkor.runner.session import Session, open_session, reopen_session
from arkor.runner.settings import load_settings
from arkor.studio.state import Studio

__all__ = ["at_project", "at_run", "backend_of", "is_there"]


@asynccontextmanager
async def at_project(studio: Studio) -> AsyncIterator[Session]:
    """A session of the open project at its backend.

    What is missing is made: an anonymous identity, the project, the embedded backend's process.
    Raises what `open_session` does.
    """
    async with await open_session(_options(studio)) as session:
        yield session


@asynccontextmanager
async def at_run(studio: Studio, id: str) -> AsyncIterator[Session]:
    """A session of a recorded run's own project, at the backend it was sent to.

    Raises `NoSuchRunError`, `RunPrunedError`, `CredentialsError` if nobody is signed in there,
    and what `reopen_session` does.
    """
    journal = studio.journal
    state = await asyncio.to_thread(lambda: journal.fold(journal.resolve(id)))
    wish = state.wish
    assert wish is not None, "every log begins with a wish, or with an attachment"
    if wish.base_url != LOCAL and current_identity(studio.home) is None:
        raise CredentialsError(
            f"run {state.run_id} is at {wish.base_url}, and nobody is signed in here: "
            "`arkor login`, or set ARKOR_TOKEN"
        )
    async with await reopen_session(
        _options(studio),
        root=studio.project_root,
        address=wish.base_url,
        scope=Scope(wish.org_slug, wish.project_slug),
    ) as session:
        yield session


def backend_of(studio: Studio) -> str | None:
    """The backend that the open project uses: a URL, `local`, or `None` for the cloud's default.

    Raises `ConfigError` for settings that cannot work.
    """
    return load_settings(studio.project_root, home=studio.home).backend


def is_there(studio: Studio) -> bool:
    """Whether the project can be asked about without anything being made for it first.

    That takes a running embedded backend, or a folder that is linked to a project. Raises
    `ConfigError`, `JournalError`, `BackendUnreachableError` for what cannot be read.
    """
    if backend_of(studio) == LOCAL:
        return find_backend(studio.home) is not None
    return linked_project(studio.project_root, studio.home) is not None


def _options(studio: Studio) -> TrainerOptions:
    return TrainerOptions(cwd=studio.project_root, home=studio.home)
