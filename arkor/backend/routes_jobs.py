"""The routes of jobs and their events."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from arkor.backend.refusals import Refusal, read_json
from arkor.backend.service import Service
from arkor.backend.stream import event_frames, position
from arkor.backend.submission import accept

__all__ = ["JobRoutes"]

SHOWN_EVENTS = 50
_STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class JobRoutes:
    """Submitting, reading, following and cancelling jobs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        return [
            Route("/v1/jobs", self.list, methods=["GET"]),
            Route("/v1/jobs", self.create, methods=["POST"]),
            Route("/v1/jobs/{job_id}", self.get, methods=["GET"]),
            Route("/v1/jobs/{job_id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/jobs/{job_id}/events/stream", self.events, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /v1/jobs`, newest first."""
        project = self._service.project(request)
        jobs = [job.to_wire() for job in self._service.jobs.of_project(project)]
        return JSONResponse({"jobs": jobs})

    async def create(self, request: Request) -> Response:
        """`POST /v1/jobs`: 201 for a new one, 200 for what this `Idempotency-Key` made before."""
        service = self._service
        project = service.project(request)
        body = await read_json(request)
        key = request.headers.get("idempotency-key")
        job, new = accept(body, key=key, project=project, jobs=service.jobs, folder=service.folder)
        if new:
            service.queue.wake()
        return JSONResponse({"job": job.to_wire()}, 201 if new else 200)

    async def get(self, request: Request) -> Response:
        """`GET /v1/jobs/ID`, with the last 50 events."""
        job, jobs = self._service.job(request), self._service.jobs
        start = max(0, jobs.last_number(job.id) - SHOWN_EVENTS)
        events = [
            {"id": str(event.number), **json.loads(event.data)}
            for event in jobs.events(job.id, after=start, limit=SHOWN_EVENTS)
        ]
        return JSONResponse({"job": job.to_wire(), "events": events})

    async def cancel(self, request: Request) -> Response:
        """`POST /v1/jobs/ID/cancel`: 409 for a job that has ended."""
        job = self._service.job(request)
        if job.terminal:
            raise Refusal(409, f"the job {job.id} has ended already: it is {job.status}")
        self._service.queue.cancel(job)
        return JSONResponse({"ok": True})

    async def events(self, request: Request) -> Response:
        """`GET /v1/jobs/ID/events/stream`, from behind the event that `Last-Event-ID` names."""
        service = self._service
        job = service.job(request)
        frames = event_frames(
            service.jobs,
            service.bell,
            job.id,
            after=position(service.jobs, job.id, request.headers.get("last-event-id")),
            ping_interval=service.options.ping_interval,
        )
        return StreamingResponse(frames, 200, _STREAM_HEADERS, "text/event-stream")
