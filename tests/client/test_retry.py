"""What is tried again and when: statuses, delays, headers."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.client.retry import (
    MISSING_GRACE,
    Backoff,
    classify,
    is_transient,
    parse_http_date,
    parse_retry_after,
)

RETRIED = {404, 408, 425, 429, *range(500, 600)}


def test_every_status_is_retried_or_final() -> None:
    expected: dict[int, str] = dict.fromkeys(range(200, 600), "final")
    expected |= dict.fromkeys(RETRIED, "retry")
    expected |= {204: "reconcile", 410: "reconcile", 401: "refresh"}
    assert {status: classify(status) for status in range(200, 600)} == expected


def test_what_stops_being_retried() -> None:
    assert classify(401, refreshed=True) == "final"
    assert classify(404, missing_for=MISSING_GRACE - 1) == "retry"
    assert classify(404, missing_for=MISSING_GRACE) == "final"
    assert not is_transient(404)


class Middle(random.Random):
    """No jitter: the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def test_delays_double_up_to_the_cap_and_begin_anew() -> None:
    backoff = Backoff(1.0, 60.0, Middle())
    assert [backoff.next_delay() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.failures == 8
    backoff.reset()
    assert (backoff.failures, backoff.next_delay()) == (0, 1.0)


@given(st.floats(0.001, 100), st.floats(0.001, 100), st.integers(0, 2000), st.integers(0, 2**32))
def test_jitter_stays_within_a_quarter_and_below_the_cap(
    first: float, cap: float, failures: int, seed: int
) -> None:
    backoff = Backoff(first, cap, random.Random(seed))
    backoff.failures = failures
    full = min(min(first, cap) * 2.0 ** min(failures, 64), cap)
    assert full * 0.75 <= backoff.next_delay() <= min(full * 1.25, cap)


def test_retry_after_takes_the_place_of_the_doubling() -> None:
    backoff = Backoff(1.0, 60.0, Middle())
    assert backoff.next_delay(300.0) == 300.0
    assert backoff.next_delay(7200.0) == 3600.0
    assert backoff.next_delay(0.0) == 1.0
    assert backoff.next_delay() == 8.0


@pytest.mark.parametrize(
    ("milliseconds", "first"), [(0, 0.1), (5, 0.1), (2500, 2.5), (10**15, 60.0)]
)
def test_the_streams_own_delay_is_kept_within_bounds(milliseconds: int, first: float) -> None:
    backoff = Backoff(1.0, 60.0, Middle())
    backoff.set_first(milliseconds)
    assert backoff.first == backoff.next_delay() == first


NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("9" * 5000, 3600.0),
        ("99999", 3600.0),
        ("-1", None),
        ("+5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tuesday, 24-Nov-26 12:01:00 GMT", 60.0),
        ("Tue Nov 24 12:02:00 2026", 120.0),
        ("Tue, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_header_breaks_the_reading(value: str) -> None:
    parse_http_date(value)
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or seconds >= 0


@given(
    st.from_regex(
        r"\A[A-Z][a-z]{2}, [0-9]{1,12} (Nov|Feb|xyz) [0-9]{1,24} [0-9]{1,20}:[0-9:]{1,9} (GMT|[+-][0-9]{1,20})\Z"
    )
)
def test_no_nearly_good_date_breaks_the_reading(value: str) -> None:
    parse_retry_after(value, now=NOW)
