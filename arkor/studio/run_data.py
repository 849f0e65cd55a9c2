"""What the pages about runs fetch: curves, the check of a log, files to keep."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from arkor.errors import ConfigError
from arkor.runner.charts import Curves, figure
from arkor.runner.report import gather, render
from arkor.studio.answers import Json
from arkor.studio.courses import Courses
from arkor.studio.state import studio_of
from arkor.studio.statistics import statistics_of

__all__ = ["RunData"]

PATIENCE: Final = 1.0
"""Seconds that one answer waits for a log to be read."""

CHUNK: Final = 65_536
"""Bytes of a file that are sent in one piece at least, but for the last."""

TYPES: Final = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "cloudevents": "application/jsonl",
}
"""The media type of each format of an export."""


class RunData:
    """The data of runs, from the courses that the pages have read."""

    def __init__(self, courses: Courses) -> None:
        self._courses = courses

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/api/figure", self.figure),
            Route("/api/runs/{id}/statistics", statistics),
            Route("/api/runs/{id}/verification", verification),
            Route("/runs/{id}/export", export),
            Route("/runs/{id}/report.html", report),
        ]

    def figure(self, request: Request) -> Json:
        """The curves of one run, or of several over each other: `?run=`, up to four times.

        `read` of `records` were looked at; as long as it `waits`, the curves are a sketch, and
        asking again reads on.
        """
        journal = studio_of(request).journal
        given = request.query_params.getlist("run")
        if not 0 < len(given) <= 4:
            raise ConfigError("a figure is of one run, or of up to four", field="run")
        labels = [""] if len(given) == 1 else ["A", "B", "C", "D"]
        # Drawn while nobody reads on: one after the other, since each has a lock of its own.
        until = time.monotonic() + PATIENCE
        curves, read, records, waits = [], 0, 0, False
        for label, run_id in zip(labels, map(journal.resolve, given), strict=False):
            left = max(until - time.monotonic(), 0.0)
            with self._courses.of(journal, run_id, left, to_draw=True) as course:
                curves.append(Curves(course.curves(journal), label))
                read, waits = read + course.read, waits or course.waits
                records += journal.run(run_id).records
        return Json({"figure": figure(curves), "read": read, "records": records, "waits": waits})


def statistics(request: Request) -> Json:
    """How each metric is distributed, over the whole log."""
    journal = studio_of(request).journal
    found = statistics_of(journal.records(request.path_params["id"]))
    return Json({name: each.to_wire() for name, each in found.items()})


def verification(request: Request) -> Json:
    """The check of the run's whole log against its chain of digests, and, with `?head=`, that."""
    asked = request.query_params
    found = studio_of(request).journal.verify(request.path_params["id"], asked.get("head") or None)
    return Json(
        {
            "ok": found.ok,
            "records": found.records,
            "head": found.head,
            "firstBadSeq": found.first_bad_seq,
            "problem": found.problem,
            "anchoredSeq": found.anchored_seq,
        }
    )


def export(request: Request) -> Response:
    """The whole log as a file: `?format=`, as `arkor export` has it."""
    journal, given = studio_of(request).journal, request.query_params.get("format", "jsonl")
    run_id = journal.resolve(request.path_params["id"])
    # What is wrong with the request is said here, and not in the middle of a file.
    pieces = _chunks(journal.export(run_id, given))
    first = next(pieces, b"")
    ending = "jsonl" if given == "cloudevents" else given
    return StreamingResponse(
        _after(first, pieces),
        media_type=TYPES.get(given, "application/octet-stream"),
        headers=_attached(f"{run_id}.{ending}"),
    )


def report(request: Request) -> Response:
    """The page about the run that opens anywhere, as `arkor report` makes it."""
    found = gather(studio_of(request).journal, request.path_params["id"])
    name = f"{found.verified.run_id}.html"
    return HTMLResponse(render([found], now=datetime.now(UTC)), headers=_attached(name))


def _attached(name: str) -> dict[str, Any]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
