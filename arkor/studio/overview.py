"""The first page: the project's trainer, what is running, what ran last, how everything stands."""

import threading
import time
from dataclasses import asdict
from typing import Any, Final

import anyio.from_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.core.wire import TERMINAL_STATUSES
from arkor.runner.doctor import Finding, examine, worst
from arkor.store.journal import RunRow
from arkor.studio.actions import launch_json
from arkor.studio.answers import Json
from arkor.studio.launches import Launches
from arkor.studio.pages import render
from arkor.studio.progress import with_progress
from arkor.studio.project import Project
from arkor.studio.state import Studio, studio_of

__all__ = ["routes"]

RECENT: Final = 5
"""Ended runs that are shown."""

MOST_CURRENT: Final = 20
"""Unfinished runs that are shown."""

LOOKED_AT: Final = 300
"""Runs, the newest, among which the unfinished ones are looked for."""

HEALTH_HOLDS: Final = 60.0
"""Seconds for which an examination is shown before there is another."""


def routes() -> list[Route]:
    """The page, and what it asks for again and again."""
    health = Health()
    projects = _Projects()
    return [
        Route("/", overview, name="overview"),
        Route("/api/overview", current),
        Route("/api/project", projects.show),
        Route("/api/health", health.show),
    ]


def overview(request: Request) -> Response:
    """The page."""
    studio = studio_of(request)
    return render(
        request,
        "overview.html",
        title="Overview",
        project=studio.project_root.name or str(studio.project_root),
    )


def current(request: Request) -> Json:
    """What is unfinished, what ended last, and the processes that were started here."""
    studio = studio_of(request)
    rows = studio.journal.runs(limit=LOOKED_AT)
    unfinished = [row for row in rows if not _has_ended(row)][:MOST_CURRENT]
    ended = [row for row in rows if _has_ended(row)][:RECENT]
    launches = Launches(studio.home).every()[:MOST_CURRENT]
    return Json(
        {
            "current": [with_progress(studio.journal, row) for row in unfinished],
            "recent": [with_progress(studio.journal, row) for row in ended],
            "launches": [launch_json(studio, each) for each in launches],
            "total": len(rows),
        }
    )


class _Projects:
    """The trainer of the project of the application that a request is for."""

    def __init__(self) -> None:
        self._project: Project | None = None

    def show(self, request: Request) -> Json:
        """What the project's entry asks for, or why it cannot be loaded."""
        studio = studio_of(request)
        self._project = self._project or Project(studio.project_root, studio.home)
        found = self._project.check()
        asks = found.asks
        trainer = asks and {
            "name": asks["name"],
            "entry": asks["entry"],
            "backend": asks["backend"],
            "model": asks["config"].get("model"),
            "dataset": _dataset(asks["config"].get("datasetSource")),
            "maxSteps": asks["config"].get("maxSteps"),
            "callbacks": sorted(asks["callbacks"]),
        }
        root = str(studio.project_root)
        return Json({"projectRoot": root, "trainer": trainer, "problem": found.problem})


class Health:
    """The doctor's findings, examined anew when they are old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[float, list[Finding]] | None = None

    def show(self, request: Request) -> Json:
        """The gravest level, and the findings that are not as they should be."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > HEALTH_HOLDS:
                self._known = (time.monotonic(), _examine(studio_of(request)))
            found = self._known[1]
        return Json(
            {
                "level": worst(found),
                "checks": len(found),
                "findings": [asdict(each) for each in found if each.level != "ok"],
            }
        )


def _examine(studio: Studio) -> list[Finding]:
    async def looked() -> list[Finding]:
        return await examine(studio.home, cwd=studio.project_root)

    return anyio.from_thread.run(looked)


def _has_ended(row: RunRow) -> bool:
    return row.status in (*TERMINAL_STATUSES, "refused")


def _dataset(source: Any) -> str | None:
    """A dataset in a word: its name, its file or its address."""
    if not isinstance(source, dict):
        return None
    return next((str(source[key]) for key in ("name", "url", "sha256") if source.get(key)), None)
