"""The pages about endpoints: deployments of a model and their keys."""

from starlette.routing import Route

__all__ = ["routes"]


def routes() -> list[Route]:
    """The routes of these pages and of the data that only they need."""
    return []
