"""The pages about runs: the list, one run, two compared."""

from starlette.routing import Route

__all__ = ["routes"]


def routes() -> list[Route]:
    """The routes of these pages and of the data that only they need."""
    return []
