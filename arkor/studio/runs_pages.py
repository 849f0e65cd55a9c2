"""The pages about runs: the list, one run, two compared."""

from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.core.differences import compare
from arkor.core.verify import VerifyReport
from arkor.errors import ConfigError
from arkor.runner.report import RunReport
from arkor.runner.timeline import Timeline
from arkor.studio.courses import Courses
from arkor.studio.listing import ORDERS, STATUSES, Asked, Listing, seconds_of
from arkor.studio.pages import render
from arkor.studio.plotly_bundle import map_style_id
from arkor.studio.progress import with_progress
from arkor.studio.run_data import RunData
from arkor.studio.run_page import NOTES, RunView, answers_of, kinds_of, panels_of
from arkor.studio.state import studio_of

__all__ = ["routes"]

PATIENCE: Final = 0.25
"""Seconds that a page waits for a log to be read; what is longer comes afterwards."""


def routes() -> list[Route]:
    """The routes of these pages and of the data that only they need."""
    courses = Courses()
    pages = _Pages(courses)
    return [
        Route("/runs", pages.every, name="runs"),
        Route("/runs/compare", pages.two, name="compare"),
        Route("/runs/{id}", pages.one, name="run"),
        *RunData(courses).routes(),
    ]


class _Pages:
    """The pages, which share what they have read."""

    def __init__(self, courses: Courses) -> None:
        self._courses = courses
        self._listing = Listing()

    def every(self, request: Request) -> Response:
        """The list: `q`, `status`, `sort` and `page` choose."""
        listed = self._listing.show(studio_of(request).journal, Asked.of(request.query_params))
        return render(
            request, "runs.html", title="Runs", listed=listed, statuses=STATUSES, orders=ORDERS
        )

    def one(self, request: Request) -> Response:
        """One run."""
        journal = studio_of(request).journal
        row = journal.row(request.path_params["id"])
        progress = with_progress(journal, row)
        view = RunView(row, progress, seconds_of(progress, datetime.now(UTC)))
        if row.pruned:
            stone = journal.tombstone(row.run_id)
            return render(request, "pruned.html", title=row.name, view=view, stone=stone)
        with self._courses.of(journal, row.run_id, PATIENCE) as course:
            return render(
                request,
                "run.html",
                title=row.name or row.run_id,
                view=view,
                course=course,
                state=journal.run(row.run_id),
                run=_unverified(course.timeline, row.run_id),
                answers=answers_of(journal, course.timeline),
                kinds=kinds_of(course.timeline),
                notes=NOTES,
                panels=panels_of(course.timeline.series),
                map_style=map_style_id(),
            )

    def two(self, request: Request) -> Response:
        """Two runs side by side: `?run=` twice."""
        given = request.query_params.getlist("run")
        if len(given) != 2:
            raise ConfigError("choose two runs in the list to compare them", field="run")
        journal = studio_of(request).journal
        a, b = (journal.resolve(each) for each in given)
        if a == b:
            raise ConfigError("both are the same run; choose another one", field="run")
        with self._courses.of(journal, a, PATIENCE) as first:
            one, waits = first.timeline.facts, first.waits
        with self._courses.of(journal, b, PATIENCE) as second:
            other, waits = second.timeline.facts, waits or second.waits
        comparison = compare(one, other)
        return render(
            request,
            "compare.html",
            title="Compare",
            c=comparison,
            waits=waits,
            panels=panels_of({*one.metrics, *other.metrics}),
            map_style=map_style_id(),
        )


def _unverified(timeline: Timeline, run_id: str) -> RunReport:
    """What the report's own parts are made from; the check of the log is asked for apart."""
    return RunReport(timeline, VerifyReport(False, run_id, 0, "", problem="not checked"))
