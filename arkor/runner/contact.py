"""Whether events of a run still come: when the last one did, and whether the stream is there."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from arkor.core.notes import Resumed, StreamClosed, StreamOpened, read_note
from arkor.core.record import Record
from arkor.runner.wording import clean, duration

__all__ = ["Contact", "listen"]

QUIET: Final = 5.0
"""Seconds without an event that are not worth a word."""


@dataclass(frozen=True, slots=True)
class Contact:
    """`heard` is when the last event was recorded, in seconds since 1970.

    While the stream is gone, `attempt` counts the attempts at a new one, and `reason` says why.
    """

    heard: float | None = None
    attempt: int = 0
    reason: str = ""

    @property
    def trouble(self) -> str:
        """What is wrong with the stream, in words; nothing if it is there."""
        if not self.attempt:
            return ""
        again = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return clean(f"reconnecting to the backend{again}: {self.reason}")

    def age(self, now: float) -> str:
        """How long ago the last event came, in words, once that is worth one."""
        if self.heard is None or now - self.heard < QUIET:
            return ""
        return f"last event {duration(now - self.heard)} ago"


def listen(contact: Contact, record: Record) -> Contact:
    """The contact after one more record of the log."""
    if record.source == "stream":
        heard = datetime.fromisoformat(record.recorded_at).timestamp()
        return Contact(heard=heard)
    match read_note(record):
        case StreamClosed(failures=failures, reason=reason) if failures:
            return replace(contact, attempt=failures, reason=reason)
        case StreamOpened() | Resumed():
            return replace(contact, attempt=0, reason="")
        case _:
            return contact
