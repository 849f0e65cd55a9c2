"""A backend whose one training run is written down beforehand."""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from arkor.core.wire import TERMINAL_STATUSES, frame
from arkor.testing.script import Answer, Received, Respond, answer_json, event_stream
from arkor.testing.server import ScriptedServer
from arkor.testing.story import Happening, Story

__all__ = ["ScriptedBackend"]

_MISSING: Final = answer_json({"error": "not_found"}, 404)


class ScriptedBackend(ScriptedServer):
    """Accepts jobs and streams `events` for each.

    An event is a mapping, the JSON payload with its `type`; `jobId` and `timestamp` are filled
    in, and its id is its place among the events, from "1". A `Verbatim` is sent as it is.
    Between them may stand steps: bytes are sent as they are on every connection, the other steps
    happen once. After the last event an `end` frame closes the stream, unless `end` is false.

    ::

        with ScriptedBackend([{"type": "training.started"}, Cut(), {"type": "training.completed"}]):

    The options take away what a backend may lack: `last_event_id=False` ignores that header,
    `idempotency=False` makes a job per request, `ids=False` sends no event ids. With `token`,
    any other is refused with 401. `retry` asks clients to reconnect after so many milliseconds.

    What it did is in `jobs` (by id, as JSON), `datasets` (by digest), `cancelled` (set once a
    cancel request came) and `requests`.
    """

    def __init__(
        self,
        events: Sequence[Happening] = (),
        *,
        end: bool = True,
        ids: bool = True,
        last_event_id: bool = True,
        idempotency: bool = True,
        token: str | None = None,
        chat: str = "Hello.",
        retry: int | None = None,
    ) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, dict[str, str]] = {}
        self.datasets: dict[str, bytes] = {}
        self.cancelled = threading.Event()
        self._obeys_last_event_id = last_event_id
        self._obeys_keys = idempotency
        self._token = token
        self._chat = chat
        self._keys: dict[str, str] = {}
        self._retry = retry
        self._story = Story(list(events), ids, end)
        for method, path, respond in (
            ("POST", "/v1/auth/anonymous", self.issue_token),
            ("GET", "/v1/me", self.me),
            ("GET", "/v1/projects", self.list_projects),
            ("POST", "/v1/projects", self.create_project),
            ("GET", "/v1/jobs", self.list_jobs),
            ("POST", "/v1/jobs", self.create_job),
            ("GET", "/v1/jobs/{id}", self.get_job),
            ("POST", "/v1/jobs/{id}/cancel", self.cancel_job),
            ("GET", "/v1/jobs/{id}/events/stream", self.stream),
            ("POST", "/v1/inference/chat", self.answer_chat),
            ("HEAD", "/v1/datasets/{sha256}", self.find_dataset),
            ("PUT", "/v1/datasets/{sha256}", self.put_dataset),
        ):
            self.on(method, path, respond)

    @property
    def events(self) -> list[Happening]:
        """What a run brings; with other events, what happens once may happen again."""
        return self._story.happenings

    @events.setter
    def events(self, events: Sequence[Happening]) -> None:
        self._story = replace(self._story, happenings=list(events), _happened=set())

    def issue_token(self, request: Received) -> Answer:
        """Answer `POST /v1/auth/anonymous`."""
        return answer_json(
            {
                "token": self._token or "scripted-token-0123456789",
                "anonymousId": "anon-1",
                "kind": request.json()["kind"],
                "personalOrg": {"id": "org-1", "slug": "anon-org", "name": "Anonymous"},
            }
        )

    def me(self, request: Received) -> Answer:
        """Answer `GET /v1/me`."""
        org = {"id": "org-1", "slug": "anon-org", "name": "Anonymous"}
        return answer_json({"user": {"id": "anon-1", "email": None}, "orgs": [org]})

    def list_projects(self, request: Received) -> Answer:
        """Answer `GET /v1/projects`."""
        org = {"slug": request.query["orgSlug"]}
        return answer_json({"org": org, "projects": list(self.projects.values())})

    def create_project(self, request: Received) -> Answer:
        """Answer `POST /v1/projects`."""
        given = request.json()
        if given["slug"] in self.projects:
            return answer_json({"error": "slug_taken"}, 409)
        project = {"id": f"project-{len(self.projects) + 1}", "orgId": "org-1", **given}
        self.projects[given["slug"]] = project
        return answer_json({"project": project}, 201)

    def list_jobs(self, request: Received) -> Answer:
        """Answer `GET /v1/jobs`, the newest first."""
        return answer_json({"jobs": list(reversed(self.jobs.values()))})

    def create_job(self, request: Received) -> Answer:
        """Answer `POST /v1/jobs`."""
        key = request.headers.get("idempotency-key", "")
        if self._obeys_keys and key in self._keys:
            return answer_json({"job": self.jobs[self._keys[key]]}, 200)
        job = {
            "id": self._new_id(),
            "orgId": "org-1",
            "projectId": "project-1",
            "status": "queued",
            "createdAt": _now(),
            **request.json(),
        }
        self.jobs[job["id"]] = job
        if self._obeys_keys and key:
            self._keys[key] = job["id"]
        return answer_json({"job": job}, 201)

    def get_job(self, request: Received) -> Answer:
        """Answer `GET /v1/jobs/{id}`; the status is that of the last event sent."""
        job = self.jobs.get(_segment(request, 3))
        return _MISSING if job is None else answer_json({"job": job})

    def cancel_job(self, request: Received) -> Answer:
        """Answer `POST /v1/jobs/{id}/cancel`: the job is `cancelled` at once."""
        job = self.jobs.get(_segment(request, 3))
        if job is None:
            return _MISSING
        if job["status"] in TERMINAL_STATUSES:
            return answer_json({"error": f"the job is {job['status']}"}, 409)
        job.update(status="cancelled", completedAt=_now())
        self.cancelled.set()
        return answer_json({"ok": True})

    def stream(self, request: Received) -> Answer:
        """Answer `GET /v1/jobs/{id}/events/stream`."""
        job = self.jobs.get(_segment(request, 3))
        if job is None:
            return _MISSING
        last = request.headers.get("last-event-id") if self._obeys_last_event_id else None
        first = [] if self._retry is None else [b"retry: %d\n\n" % self._retry]
        steps = chain(first, self._story.steps(job, last))
        return Answer(200, {"content-type": "text/event-stream"}, steps)

    def answer_chat(self, request: Received) -> Answer:
        """Answer `POST /v1/inference/chat` with the text that was given."""
        if not request.json().get("stream"):
            message = {"role": "assistant", "content": self._chat}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return answer_json({"object": "chat.completion", "choices": [choice]})
        words = self._chat.split(" ")
        texts = [word + " " for word in words[:-1]] + words[-1:]
        deltas = ({"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts)
        return event_stream(
            *(frame("message", json.dumps(delta)) for delta in deltas), frame("message", "[DONE]")
        )

    def find_dataset(self, request: Received) -> Answer:
        """Answer `HEAD /v1/datasets/{sha256}`."""
        return Answer(200 if _segment(request, 3) in self.datasets else 404)

    def put_dataset(self, request: Received) -> Answer:
        """Answer `PUT /v1/datasets/{sha256}`."""
        digest = _segment(request, 3)
        if hashlib.sha256(request.body).hexdigest() != digest:
            return answer_json({"error": "digest_mismatch"}, 400)
        known = digest in self.datasets
        self.datasets[digest] = request.body
        return answer_json({"sha256": digest}, 200 if known else 201)

    def _new_id(self) -> str:
        return f"job-{len(self.jobs) + 1}"

    def _next(self, request: Received) -> Respond:
        open_to_all = request.path == "/v1/auth/anonymous"
        given = request.headers.get("authorization")
        if self._token is None or open_to_all or given == f"Bearer {self._token}":
            return super()._next(request)
        return answer_json({"error": "unauthorized"}, 401)


def _segment(request: Received, place: int) -> str:
    return unquote(request.path.split("/")[place])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
