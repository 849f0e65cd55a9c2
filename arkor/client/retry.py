"""Which failures are tried again, and how long to wait before (pure)."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

__all__ = [
    "MISSING_GRACE",
    "Backoff",
    "Verdict",
    "classify",
    "is_transient",
    "parse_http_date",
    "parse_retry_after",
]

Verdict = Literal["retry", "refresh", "reconcile", "final"]

MISSING_GRACE: Final = 300.0
"""Seconds for which a new job may be invisible (404) before that counts as an answer."""

LONGEST_RETRY_AFTER: Final = 3600.0
SHORTEST_FIRST: Final = 0.1

_TRANSIENT: Final = frozenset({408, 425, 429})
_RECONCILE: Final = frozenset({204, 410})


def is_transient(status: int) -> bool:
    """Whether the same request may well succeed a little later."""
    return status in _TRANSIENT or 500 <= status <= 599


def classify(status: int, *, missing_for: float = 0.0, refreshed: bool = False) -> Verdict:
    """What an event stream's refusal means.

    `retry` later; `refresh` the token and try once more; `reconcile`: fetch the job, the stream
    has no more to say; `final`. `missing_for` is for how many seconds 404 has been the answer,
    `refreshed` whether the token is a fresh one.
    """
    if status in _RECONCILE:
        return "reconcile"
    if status == 401:
        return "final" if refreshed else "refresh"
    if status == 404:
        return "retry" if missing_for < MISSING_GRACE else "final"
    return "retry" if is_transient(status) else "final"


class Backoff:
    """Delays between tries: doubling from `first` to `cap` seconds, ±25 % jitter within the cap.

    `failures` counts the tries since the last `reset`.
    """

    def __init__(
        self, first: float = 1.0, cap: float = 60.0, rng: random.Random | None = None
    ) -> None:
        self.first = min(first, cap)
        self.cap = cap
        self.failures = 0
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, protects nothing

    def next_delay(self, retry_after: float | None = None) -> float:
        """Count one more failure; give the seconds to wait.

        `retry_after`, where the backend gave it, takes the place of the doubling: it is obeyed
        up to an hour, and is never less than `first`.
        """
        exponent = min(self.failures, 64)
        self.failures += 1
        if retry_after is not None:
            return min(max(retry_after, self.first), LONGEST_RETRY_AFTER)
        delay = min(self.first * 2.0**exponent, self.cap)
        return min(delay * self._rng.uniform(0.75, 1.25), self.cap)

    def reset(self) -> None:
        """Forget the failures: there was progress."""
        self.failures = 0

    def set_first(self, milliseconds: int) -> None:
        """Obey a stream's `retry:`, within 0.1 s and the cap."""
        self.first = min(max(milliseconds / 1000, SHORTEST_FIRST), self.cap)


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3); `None` if unreadable.

    A date that has passed is 0 seconds.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # int() refuses more than 4,300 digits; the answer is capped anyway.
        return min(float(text[:12]) if len(text) < 13 else LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER)
    if (until := parse_http_date(text)) is None:
        return None
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def parse_http_date(text: str) -> datetime | None:
    """The time that an HTTP date names (RFC 9110, 5.6.7); `None` if it names none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
