"""What a training worker has said so far, on disk, so that its next life can say it again.

The parent may be killed between a checkpoint and its reading of the events before it. A worker
that goes on from that checkpoint therefore repeats them first; the parent drops what it knows.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arkor.backend.channel import Channel, finite
from arkor.backend.sameness import sameness

__all__ = ["EventLog"]

Event = Mapping[str, Any]


class EventLog:
    """Sends events, each kept in `path` first and never sent twice by one process."""

    def __init__(self, path: Path, channel: Channel) -> None:
        self._path = path
        self._channel = channel
        self._sent: set[str] = set()
        self._last_step: int | None = None

    @property
    def last_step(self) -> int | None:
        """The step of the last event that has one."""
        return self._last_step

    def completed(self) -> bool:
        """Whether an earlier life came to the run's good end."""
        return any(event["type"] == "training.completed" for event in self._read())

    def repeat(self, *, until: int | None = None) -> None:
        """Send again what was sent up to step `until`, or all; later events are forgotten."""
        kept = [event for event in self._read() if until is None or _holds(event, until)]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(map(_line, kept)), encoding="utf-8")
        partial.replace(self._path)
        for event in kept:
            self._pass_on(event)

    def send(self, event: Event) -> None:
        """Keep and send `event`, unless this process has sent it."""
        if sameness(event) in self._sent:
            return
        with self._path.open("ab") as file:
            file.write(_line(event).encode())
        self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        if same := sameness(event):
            self._sent.add(same)
        self._last_step = event.get("step", self._last_step)
        self._channel.send(event)

    def _read(self) -> list[Event]:
        if not self._path.exists():
            return []
        found = map(_event, self._path.read_bytes().split(b"\n"))
        return [event for event in found if event is not None]


def _event(line: bytes) -> Event | None:
    """The event of a line; `None` for one that a kill, or a loss of power, left torn."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "type" in event else None


def _line(event: Event) -> str:
    return json.dumps(finite(event), allow_nan=False) + "\n"


def _holds(event: Event, step: int) -> bool:
    if event["type"] == "training.started":
        return True
    # A failure or a cancellation of an earlier life is taken back by going on.
    return event["type"] in ("training.log", "checkpoint.saved") and event["step"] <= step
