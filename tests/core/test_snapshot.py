"""A state survives being text; what is no state of this folding is passed over."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from logs import log_of
from test_fold import logs

from arkor.core.fold import fold_all
from arkor.core.record import Entry
from arkor.core.snapshot import FOLD, dump_state, load_state
from arkor.core.state import INITIAL


@given(logs)
def test_a_state_is_the_same_when_it_is_read_back(entries: Sequence[Entry]) -> None:
    state = fold_all(log_of(*entries))
    again = load_state(dump_state(state))
    assert again == state
    assert again is not None
    assert again.consumers == state.consumers


@given(logs, logs)
def test_a_log_goes_on_from_a_snapshot(before: Sequence[Entry], after: Sequence[Entry]) -> None:
    records = log_of(*before, *after)
    half = load_state(dump_state(fold_all(records[: len(before)])))
    assert half is not None
    assert fold_all(records[len(before) :], half) == fold_all(records)


@pytest.mark.parametrize(
    "change",
    [
        {"fold": FOLD + 1},
        {"news": 1},
        {"consumers": 3},
        {"wish": ["arkor.aborted", "{}"]},
        {"head": "x"},
    ],
)
def test_what_is_no_state_of_this_folding_is_passed_over(change: dict[str, object]) -> None:
    text = json.loads(dump_state(INITIAL))
    assert load_state(json.dumps(text | change)) is None


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"fold": 1}', "[" * 100_000])
def test_what_is_no_snapshot_at_all_is_passed_over(text: str) -> None:
    assert load_state(text) is None
