"""The runs as an API, for Studio's own pages and for a front end of your own: read-only."""

from collections.abc import Iterable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from arkor.client.notices import sdk_version
from arkor.runner.shapes import lease_of, record_json, run_json, state_json
from arkor.store.journal import RunRow
from arkor.store.state import project_root
from arkor.studio.answers import Json
from arkor.studio.bodies import number_of
from arkor.studio.folds import folded
from arkor.studio.live import events
from arkor.studio.openapi import document
from arkor.studio.state import studio_of

__all__ = ["routes"]

MOST_RUNS: Final = 200
"""Runs of one answer."""

MOST_RECORDS: Final = 500
"""Records of one answer."""


def routes() -> list[Route]:
    """The routes under `/api` that change nothing."""
    return [
        Route("/api/openapi.json", openapi),
        Route("/api/runs", runs, name="api-runs"),
        Route("/api/runs/{id}", run, name="api-run"),
        Route("/api/runs/{id}/events", events, name="api-events"),
        Route("/api/runs/{id}/records", records, name="api-records"),
    ]


def openapi(request: Request) -> Json:
    """The OpenAPI document of this API."""
    return Json(document(sdk_version(), request.scope.get("root_path", "")))


def runs(request: Request) -> Json:
    """The runs, the newest first: `status`, `q`, `project`, `limit` and `before` choose."""
    studio = studio_of(request)
    asked = request.query_params
    root = project_root(studio.project_root) if asked.get("project") == "this" else None
    every = studio.journal.runs(project_root=root, status=asked.get("status") or None)
    found = list(_about(every, asked.get("q", "").strip().lower()))
    place = _place(found, asked.get("before"))
    page = found[place : place + number_of(request, "limit", 50, most=MOST_RUNS)]
    more = place + len(page) < len(found) and bool(page)
    return Json(
        {
            "runs": [run_json(row, lease_of(studio.journal, row)) for row in page],
            "total": len(found),
            "next": page[-1].run_id if more else None,
        }
    )


def run(request: Request) -> Json:
    """What is known of one run, and who follows it."""
    studio = studio_of(request)
    row = studio.journal.row(request.path_params["id"])
    return Json(state_json(folded(studio.journal, row.run_id), lease_of(studio.journal, row)))


def records(request: Request) -> Json:
    """A page of a run's records: `q` and `type` choose among all, `after` or `before` turn pages."""
    asked = request.query_params
    before = number_of(request, "before", 0) or None
    order = asked.get("order", "oldest")
    if order not in ("oldest", "newest"):
        raise HTTPException(400, "order must be oldest or newest")
    found = studio_of(request).journal.search(
        request.path_params["id"],
        asked.get("q", ""),
        types=asked.getlist("type"),
        after=number_of(request, "after", 0),
        before=before,
        limit=number_of(request, "limit", 100, most=MOST_RECORDS),
        newest=order == "newest",
    )
    return Json({"records": [record_json(each) for each in found.records], "total": found.total})


def _about(rows: Iterable[RunRow], words: str) -> Iterable[RunRow]:
    """The rows with these words in a name or an id."""
    return (row for row in rows if not words or any(words in each for each in _texts(row)))


def _texts(row: RunRow) -> list[str]:
    given: list[Any] = [row.name, row.run_id, row.job_id, row.run_key]
    return [text.lower() for text in given if text]


def _place(found: list[RunRow], before: str | None) -> int:
    """Where the page begins: behind the run `before`; ids grow with time."""
    if not before:
        return 0
    return next((n + 1 for n, row in enumerate(found) if row.run_id == before), len(found))
