"""Memory stays flat, however much comes and however far delivery lags behind."""

from typing import Any

import pytest
from backlog import EVERY, measure

from arkor.core.fold import MOST_CHECKPOINTS, MOST_TYPES, OTHER_TYPES, fold_all
from arkor.core.record import GENESIS, Entry, chain
from arkor.core.state import INITIAL

MOST_MB = 200


def test_a_long_backlog_with_a_slow_callback() -> None:
    figures: dict[str, Any] = measure(50_000, each=False)
    assert (figures["events"], figures["calls"]) == (50_000, 50_000 // EVERY - 1)
    # What came meanwhile waited in the log, not in memory.
    assert figures["greatest_lag"] > EVERY
    assert figures["peak_rss_mb"] < MOST_MB
    assert figures["peak_rss_mb"] - figures["rss_before_mb"] < 40


def test_a_call_for_every_event() -> None:
    figures = measure(2_000, each=True)
    assert (figures["events"], figures["calls"]) == (2_000, 1_998)
    assert figures["peak_rss_mb"] < MOST_MB


@pytest.mark.parametrize("kind", ["invented-{}", "checkpoint.saved"])
def test_a_state_stays_small_whatever_the_events_are(kind: str) -> None:
    entries = [Entry("stream", kind.format(n), f'{{"step":{n}}}') for n in range(5000)]
    records = chain("R", entries, after=0, prev_digest=GENESIS, recorded_at="2026-01-01T00:00:00Z")
    state = fold_all(records, INITIAL)
    assert sum(state.counts.values()) == 5000
    assert len(state.counts) <= MOST_TYPES + 1
    if kind == "checkpoint.saved":
        assert state.checkpoints == tuple(range(5000 - MOST_CHECKPOINTS, 5000))
    else:
        assert state.counts[OTHER_TYPES] == 5000 - MOST_TYPES
