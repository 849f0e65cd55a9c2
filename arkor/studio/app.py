"""The Studio application: its pages, its API, and what stands before them."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from arkor.errors import ConfigError
from arkor.store.journal import open_journal
from arkor.store.paths import home as home_of
from arkor.store.state import project_root as project_of
from arkor.studio import api
from arkor.studio.access import Access
from arkor.studio.authorize import Authorize, Authorized
from arkor.studio.guard import Guard
from arkor.studio.headers import SafeHeaders
from arkor.studio.refusals import HANDLERS
from arkor.studio.state import Studio

__all__ = ["create_app"]


def create_app(
    *,
    home: Path | str | None = None,
    project_root: Path | str | None = None,
    pages: bool = True,
    access: Access | None = None,
    authorize: Authorize | None = None,
) -> Starlette:
    """Studio as an ASGI application, of the runs in the store's folder `home`.

    With `pages` it is what `arkor dev` serves, for the user of this machine alone: it is reached
    at a loopback address, and lets in who shows what `access` has handed out. What is trained is
    the project that the folder `project_root` is in.

    Without `pages` it is an API that reads and changes nothing, to be mounted in an application
    of yours, which may be reached from elsewhere: `authorize(request)`, which may be async, says
    who may read. It sees the request as your application does, its user and its session. Whoever
    may read sees every run of `home`, with its configuration and on which machine it began.

    Raises `ConfigError` for `pages` without `access`, for no `pages` without `authorize`, and if
    the extra `studio` is not installed.
    """
    folder = home_of(home)
    if pages:
        if access is None or authorize is not None:
            raise ConfigError("the pages of Studio need `access`, and nothing else", field="access")
        routes, guard = _all_routes(), Middleware(Guard, access=access)
    else:
        if authorize is None or access is not None:
            raise ConfigError(
                "say who may read the runs: `authorize=` is a function of the request",
                field="authorize",
            )
        routes, guard = list(api.routes()), Middleware(Authorized, authorize=authorize)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(SafeHeaders), guard],
        exception_handlers=dict(HANDLERS),
    )
    app.state.studio = Studio(folder, project_of(project_root), open_journal(folder))
    app.state.pages = pages
    return app


def _all_routes() -> list[BaseRoute]:
    from arkor.studio import actions, endpoints, overview, playground, runs_pages, static_files

    return [
        *static_files.routes(),
        *api.routes(),
        *actions.routes(),
        *overview.routes(),
        *runs_pages.routes(),
        *playground.routes(),
        *endpoints.routes(),
    ]
