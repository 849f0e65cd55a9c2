"""The Studio application: its pages, its API, and what stands before them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request

from arkor.errors import ConfigError
from arkor.store.journal import open_journal
from arkor.store.paths import home as home_of
from arkor.store.state import project_root as project_of
from arkor.studio import endpoints, overview, playground, runs_pages, static_files
from arkor.studio.access import Access
from arkor.studio.guard import Guard
from arkor.studio.headers import SafeHeaders
from arkor.studio.refusals import HANDLERS
from arkor.studio.state import Studio

__all__ = ["create_app"]

Authorize = Callable[[Request], bool | Awaitable[bool]]


def create_app(
    *,
    home: Path | str | None = None,
    project_root: Path | str | None = None,
    access: Access | None = None,
) -> Starlette:
    """Studio as an ASGI application.

    `home` is the store's folder, `project_root` a folder of the project to train.
    """
    folder = home_of(home)
    if access is None:
        raise ConfigError("Studio needs to know who may use it: give `access`", field="access")
    app = Starlette(
        routes=[
            *static_files.routes(),
            *overview.routes(),
            *runs_pages.routes(),
            *playground.routes(),
            *endpoints.routes(),
        ],
        middleware=[Middleware(SafeHeaders), Middleware(Guard, access=access)],
        exception_handlers=dict(HANDLERS),
    )
    app.state.studio = Studio(folder, project_of(project_root), open_journal(folder))
    app.state.pages = True
    return app
