"""Scripts and styles, and Plotly's own bundle out of its Python package."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from arkor.studio.plotly_bundle import bundle_path

__all__ = ["routes"]


def routes() -> list[Route | Mount]:
    """`/static/plotly.js`, and the files of this package's folder `static`."""
    return [
        Route("/static/plotly.js", bundle, name="plotly"),
        Mount("/static", StaticFiles(packages=[("arkor", "studio/static")]), name="static"),
    ]


def bundle(request: Request) -> Response:
    """Plotly's bundle."""
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(bundle_path(), media_type="text/javascript", headers=headers)
