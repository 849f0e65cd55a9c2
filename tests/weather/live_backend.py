"""A backend whose run is told what happens while it is being watched."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from arkor.core.wire import TERMINAL_STATUSES, frame
from arkor.testing import Answer, Cut, Received, ScriptedBackend, Step, Until

__all__ = ["LiveBackend"]


class LiveBackend(ScriptedBackend):
    """Streams what `emit` was given, from behind the id it is asked for, and then waits for more.

    `forgetful` makes the next connection begin with the first event.
    """

    def __init__(self) -> None:
        super().__init__()
        self.emitted: dict[str, list[tuple[str | None, bytes]]] = {}
        self.forgetful = False
        self._changed = threading.Event()
        self._drops = 0
        self._echoes: list[bytes] = []

    def emit(self, job_id: str, type: str, id: str | None, **payload: Any) -> None:
        """One more event of the job, whose status follows it."""
        data = json.dumps({"type": type, "jobId": job_id, **payload})
        status = {"training.completed": "completed", "training.failed": "failed"}.get(type)
        if status:
            self.jobs[job_id].update(status=status, error=payload.get("error"))
        self.emitted.setdefault(job_id, []).append((id, frame(type, data, id)))
        self._wake()

    def drop(self) -> None:
        """Cut every open stream."""
        self._drops += 1
        self._wake()

    def again(self, job_id: str) -> None:
        """Send the last event that has an id once more, to whoever is connected."""
        self._echoes.append(next(text for own, text in self.emitted[job_id][::-1] if own))
        self._wake()

    def stream(self, request: Received) -> Answer:
        """Answer `GET /v1/jobs/{id}/events/stream`."""
        job_id = request.path.split("/")[3]
        last = None if self.forgetful else request.headers.get("last-event-id")
        self.forgetful = False
        steps = self._live(job_id, self._after(job_id, last))
        return Answer(200, {"content-type": "text/event-stream"}, steps)

    def _after(self, job_id: str, last: str | None) -> int:
        """The place behind the first event with that id: an id may come again later."""
        ids = [own for own, _ in self.emitted.get(job_id, [])]
        return ids.index(last) + 1 if last in ids and last is not None else 0

    def _live(self, job_id: str, place: int) -> Iterator[Step]:
        drops, echoes = self._drops, len(self._echoes)
        while True:
            changed = self._changed
            if drops != self._drops:
                yield Cut()
            events = self.emitted.get(job_id, [])
            if place < len(events):
                yield b"".join(text for _, text in events[place:])
                place = len(events)
            elif echoes < len(self._echoes):
                yield b"".join(self._echoes[echoes:])
                echoes = len(self._echoes)
            elif self.jobs[job_id]["status"] in TERMINAL_STATUSES - {"cancelled"}:
                return
            else:
                yield Until(changed)

    def _wake(self) -> None:
        changed, self._changed = self._changed, threading.Event()
        changed.set()
