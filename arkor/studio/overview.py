"""The first page: the project, what is running, what ran last."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.studio.pages import render

__all__ = ["routes"]


def routes() -> list[Route]:
    """The routes of the page."""
    return [Route("/", overview, name="overview")]


def overview(request: Request) -> Response:
    """The page."""
    return render(request, "overview.html", title="Overview")
