"""What a scripted run brings over its stream, and what each event makes of its job."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from arkor.core.wire import TERMINAL_STATUSES, frame
from arkor.testing.script import Call, Step, Verbatim

__all__ = ["Happening", "Story"]

Happening = Mapping[str, Any] | Verbatim | Step
"""An event, as its payload or verbatim, or a step between two events."""

TIME: Final = "2026-01-01T00:00:00Z"

_STATUS: Final = {
    "training.started": "running",
    "training.completed": "completed",
    "training.failed": "failed",
}


@dataclass(slots=True)
class Story:
    """The events of a run, and the steps between them that happen once.

    The id of an event that is given as a payload is its place among the events, from 1, unless
    `ids` is false. With `end`, an `end` frame comes behind the last one.
    """

    happenings: list[Happening]
    ids: bool = True
    end: bool = True
    _happened: set[int] = field(default_factory=set)

    def steps(self, job: dict[str, Any], after: str | None) -> Iterator[Step]:
        """What a connection brings that goes on behind the event with the id `after`."""
        number, first = 0, self._number_of(after)
        for place, item in enumerate(self.happenings):
            if isinstance(item, Mapping | Verbatim):
                number += 1
                if number > first:
                    yield Call(partial(_happens, job, _payload(item)))
                    yield self._frame(job, number, item)
            elif isinstance(item, bytes):
                if number >= first:
                    yield item
            elif place not in self._happened:
                self._happened.add(place)
                yield item
        if self.end:
            yield frame("end", "{}")

    def _number_of(self, own_id: str | None) -> int:
        """Which event has that id, counted from 1; 0 if none has."""
        if not own_id:
            return 0
        events = (item for item in self.happenings if isinstance(item, Mapping | Verbatim))
        for number, item in enumerate(events, 1):
            if own_id == (item.id if isinstance(item, Verbatim) else str(number)):
                return number
        return 0

    def _frame(
        self, job: Mapping[str, Any], number: int, event: Mapping[str, Any] | Verbatim
    ) -> bytes:
        if isinstance(event, Verbatim):
            return frame(event.type, event.data, event.id)
        payload = {"jobId": job["id"], "timestamp": TIME, **event}
        own_id = str(number) if self.ids else None
        return frame(str(payload["type"]), json.dumps(payload), own_id)


def _payload(event: Mapping[str, Any] | Verbatim) -> Mapping[str, Any]:
    if isinstance(event, Mapping):
        return event
    try:
        payload = json.loads(event.data)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def _happens(job: dict[str, Any], event: Mapping[str, Any]) -> None:
    """From now on the job is as `event` says, unless it has ended."""
    if job["status"] in TERMINAL_STATUSES:
        return
    if status := _STATUS.get(str(event.get("type"))):
        job["status"] = status
        job["startedAt" if status == "running" else "completedAt"] = TIME
    if "error" in event:
        job["error"] = event["error"]
