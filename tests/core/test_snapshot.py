"""A state survives being text; what is no state of this folding is passed over."""

import hashlib
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


def sealed(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest() + body


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
    given = json.loads(dump_state(INITIAL)[64:])
    assert load_state(sealed(json.dumps(given))) == INITIAL
    assert load_state(sealed(json.dumps(given | change))) is None


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"fold": 1}', "[" * 100_000])
def test_what_is_no_snapshot_at_all_is_passed_over(text: str) -> None:
    assert load_state(text) is None
    assert load_state(sealed(text)) is None


def test_one_flipped_bit_makes_it_no_snapshot() -> None:
    text = dump_state(fold_all(log_of(Entry("stream", "training.log", '{"step":1,"loss":0.5}'))))
    for place in range(len(text)):
        flipped = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        assert load_state(flipped) is None


def test_half_a_surrogate_pair_is_kept_in_text_that_a_database_stores() -> None:
    completed = '{"artifacts":["\\ud800","ü"]}'
    state = fold_all(log_of(Entry("stream", "training.completed", completed)))
    assert state.artifacts == ("\ud800", "ü")
    text = dump_state(state)
    assert text.isascii()
    assert load_state(text) == state
