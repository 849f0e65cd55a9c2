"""What every page and endpoint works with: whose runs they are, and where the project is."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import HTTPConnection

from arkor.store.journal import Journal

__all__ = ["Studio", "studio_of"]


@dataclass(frozen=True, slots=True)
class Studio:
    """The store, the project and the journal that this Studio shows.

    `home` is the store's folder, `project_root` the folder whose entry is trained. `journal` is
    for reading, on any thread. `closing` is set when the server stops: streams end then.
    """

    home: Path
    project_root: Path
    journal: Journal = field(repr=False)
    closing: threading.Event = field(default_factory=threading.Event, repr=False)


def studio_of(request: HTTPConnection) -> Studio:
    """The Studio that a request is for."""
    studio: Studio = request.app.state.studio
    return studio
