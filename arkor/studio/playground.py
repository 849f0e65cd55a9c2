"""The playground: a model, a checkpoint or an adapter, asked in the browser."""

from starlette.routing import Route

__all__ = ["routes"]


def routes() -> list[Route]:
    """The routes of these pages and of the data that only they need."""
    return []
