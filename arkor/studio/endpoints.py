"""The pages about endpoints: deployments of a model and their keys."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.studio import deployments
from arkor.studio.pages import render
from arkor.studio.playground import choices
from arkor.studio.state import studio_of

__all__ = ["routes"]


def routes() -> list[Route]:
    """The routes of these pages and of the data that only they need."""
    return [
        Route("/endpoints", endpoints, name="endpoints"),
        Route("/endpoints/{id}", endpoint, name="endpoint"),
        *deployments.routes(),
    ]


def endpoints(request: Request) -> Response:
    """The list, and the form for a new one; `?run=` chooses what that one answers with."""
    context = choices(studio_of(request), request.query_params.get("run"))
    return render(request, "endpoints.html", title="Endpoints", **context)


def endpoint(request: Request) -> Response:
    """One endpoint; what is not there is told once the backend has been asked."""
    return render(
        request,
        "endpoint.html",
        title="Endpoint",
        id=request.path_params["id"],
        **choices(studio_of(request), None),
    )
