"""What a log adds up to."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import AT, JOB, accepted, event, log_of, wish

from arkor.core.calls import calls_of, owed
from arkor.core.fold import fold, fold_all, number_of
from arkor.core.notes import (
    Attached,
    CallbackCompleted,
    CallbackFailed,
    CancelRequested,
    Note,
    Reconciled,
    Resumed,
    StreamOversize,
    SubmitRefused,
    SubmitRequested,
    Submitted,
    entry_of,
)
from arkor.core.record import Entry, Record
from arkor.core.state import INITIAL, RunState

STARTED = event("training.started", timestamp="T1")
COMPLETED = event("training.completed", timestamp="T2", artifacts=["a"])
FAILED = event("training.failed", timestamp="T3", error="out of memory")


def ended(status: str, **fields: Any) -> Reconciled:
    return Reconciled({**JOB, "status": status, **fields}, "end")


# Any record at all: notes of the right shape, of the wrong shape, events, nonsense.
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_jobs = st.just(JOB) | st.just({**JOB, "status": "failed"}) | st.dictionaries(st.text(), _json)
_small = st.integers(0, 12)
_callbacks = st.sampled_from(["on_log", "on_event", "on_completed", "nobody"])
_consumers = st.sampled_from(["main", "other"])
_notes = st.one_of(
    st.just(wish("main")),
    st.builds(Submitted, _jobs),
    st.builds(SubmitRefused, _small, st.text(max_size=3)),
    st.builds(Attached, _jobs, *[st.just("x")] * 4),
    st.builds(Resumed, _small, st.booleans(), st.just(("main", "other"))),
    st.builds(CallbackCompleted, _consumers, _small, st.none() | _callbacks, _small, st.booleans()),
    st.builds(CallbackFailed, _consumers, _small, _callbacks, _small, st.text(max_size=3)),
    st.builds(Reconciled, _jobs, st.just("end")),
)
_known_types = [note.TYPE for note in Note.__args__]
_events = [STARTED, COMPLETED, FAILED, event("training.log", "3", step=1, loss=2), event("other")]
_entries = st.one_of(
    _notes.map(entry_of),
    st.sampled_from(_events),
    st.builds(
        Entry,
        st.sampled_from(["stream", "local"]),
        st.sampled_from([*_known_types, "training.log", "training.failed", "end"]),
        _json.map(json.dumps) | st.text(max_size=6),
        st.none() | st.sampled_from(["", "1", "7", "x", "9" * 30]),
    ),
)
logs = st.lists(_entries, max_size=12)


@given(logs)
def test_no_record_is_refused(entries: Sequence[Entry]) -> None:
    state = INITIAL
    for record in log_of(*entries):
        state = fold(state, record)
        for name in ("main", "other", "new"):
            assert isinstance(owed(record, state, state.consumer(name)), tuple)
        assert state.records == record.seq
        assert isinstance(state.settled, bool)


@given(logs, st.integers(0, 12))
def test_two_pieces_come_to_the_same_as_one(entries: Sequence[Entry], cut: int) -> None:
    records = log_of(*entries)
    assert fold_all(records[cut:], fold_all(records[:cut])) == fold_all(records)


@given(logs)
def test_a_run_ends_once_and_cursors_never_go_back(entries: Sequence[Entry]) -> None:
    before = INITIAL
    for record in log_of(*entries):
        after = fold(before, record)
        if before.terminal_seq is not None and record.type != SubmitRefused.TYPE:
            assert after.terminal_seq == before.terminal_seq
        for name in before.consumers:
            assert after.consumer(name).cursor >= before.consumer(name).cursor
        before = after


def test_from_the_wish_to_the_end() -> None:
    steps: list[tuple[Entry | Note, str]] = [
        (wish("main"), "submitting"),
        (Submitted(JOB), "queued"),
        (STARTED, "running"),
        (event("training.log", step=1), "running"),
        (COMPLETED, "completed"),
    ]
    state = INITIAL
    for record, (_, status) in zip(log_of(*(item for item, _ in steps)), steps, strict=True):
        state = fold(state, record)
        assert state.status == status
    assert state.job is not None
    assert state.job.to_wire() == {
        **JOB,
        "status": "completed",
        "error": None,
        "startedAt": "T1",
        "completedAt": "T2",
    }
    assert (state.run_id, state.name, state.job_id) == ("RUN", "a run", "job-1")
    assert (state.artifacts, state.terminal_seq) == (("a",), 5)
    assert state.config == {"model": "m"}
    assert state.head == log_of(*(item for item, _ in steps))[-1].digest


def test_a_failed_run_has_the_backends_words_and_no_artifacts() -> None:
    state = fold_all(accepted(STARTED, FAILED))
    assert state.job is not None
    assert (state.status, state.job.error, state.job.completed_at) == (
        "failed",
        "out of memory",
        "T3",
    )
    assert state.artifacts == ()


def test_an_event_without_its_time_has_the_records() -> None:
    state = fold_all(accepted(event("training.started"), event("training.completed")))
    assert state.job is not None
    assert (state.job.started_at, state.job.completed_at) == (AT, AT)


@pytest.mark.parametrize(
    "later",
    [
        STARTED,
        FAILED,
        event("training.completed", artifacts=["b"]),
        event("training.log", step=9, loss=0),
        event("checkpoint.saved", step=9),
        entry_of(ended("failed", error="e")),
        entry_of(ended("cancelled")),
    ],
)
def test_nothing_after_the_end_changes_it(later: Entry) -> None:
    before = fold_all(accepted(STARTED, COMPLETED))
    after = fold_all(accepted(STARTED, COMPLETED, later))
    assert (after.status, after.job, after.artifacts, after.terminal_seq) == (
        before.status,
        before.job,
        before.artifacts,
        before.terminal_seq,
    )
    assert (after.latest, after.checkpoints) == (before.latest, before.checkpoints)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_fetched_job_ends_a_run_whose_stream_did_not(status: str) -> None:
    log = accepted(STARTED, ended(status, artifacts=["a"], error="e"))
    state = fold_all(log)
    assert (state.status, state.terminal_seq, state.artifacts) == (status, 4, ("a",))
    assert calls_of(log[-1], state) == (f"on_{status}",)


def test_a_fetched_job_that_goes_on_ends_nothing() -> None:
    log = accepted(STARTED, ended("running"), ended("paused"))
    state = fold_all(log)
    assert (state.status, state.terminal) == ("paused", False)
    assert calls_of(log[-1], state) == ()


def test_a_refused_run_owes_nothing() -> None:
    state = fold_all(log_of(wish("main"), SubmitRefused(422, "no such model")))
    assert (state.status, state.job, state.settled) == ("refused", None, True)


def test_an_attached_run_has_its_jobs_name_and_config() -> None:
    state = fold_all(log_of(Attached({**JOB, "status": "running"}, "u", "o", "p", "/r", ("main",))))
    assert (state.name, state.status, state.config) == ("a run", "running", {"model": "m"})
    assert state.named == ("main",)


def test_malformed_and_unknown_events_are_counted_and_change_nothing() -> None:
    odd = [
        Entry("stream", "message", "not json", "1"),
        Entry("stream", "training.completed", '{"jobId":"job-2"}', "2"),
        Entry("stream", "training.failed", "{}", "3"),
        Entry("stream", "status", '{"status":"failed"}', "4"),
        Entry("stream", Reconciled.TYPE, json.dumps({"job": JOB, "cause": "x"}), "5"),
    ]
    log = accepted(*odd)
    state = fold_all(log)
    assert (state.status, state.terminal) == ("queued", False)
    assert state.counts == {entry.type: 1 for entry in odd}
    assert [calls_of(record, state) for record in log[2:]] == [
        (),
        (),
        (),
        ("on_event",),
        ("on_event",),
    ]


def test_the_newest_figures_and_the_checkpoints() -> None:
    state = fold_all(
        accepted(
            event("training.log", step=1, loss=2.0, learningRate=0.1),
            event("checkpoint.saved", step=1),
            event("training.log", step=2, evalLoss=1.5, loss=None),
            event("checkpoint.saved", step=2),
        )
    )
    assert state.latest == {"step": 2, "loss": 2.0, "learning_rate": 0.1, "eval_loss": 1.5}
    assert state.checkpoints == (1, 2)
    assert state.counts == {"training.log": 2, "checkpoint.saved": 2}


@pytest.mark.parametrize(
    ("ids", "last", "seq", "highest"),
    [
        ([], None, 0, None),
        ([None, None], None, 0, None),
        (["5", "6"], "6", 4, 6),
        (["5", None], "5", 3, 5),
        (["5", "3"], "3", 4, 5),
        (["5", "x"], "x", 4, 5),
        (["5", ""], None, 4, 5),
        (["0"], "0", 3, 0),
        (["9" * 30], "9" * 30, 3, None),
    ],
)
def test_where_the_stream_goes_on(
    ids: list[str | None], last: str | None, seq: int, highest: int | None
) -> None:
    state = fold_all(accepted(*(event("other", own_id) for own_id in ids)))
    assert (state.last_event_id, state.last_id_seq, state.highest_id) == (last, seq, highest)


def test_malformed_frames_and_those_too_large_are_a_place_too() -> None:
    note = entry_of(StreamOversize("training.log", 1, "ab"), sse_id="8")
    assert fold_all(accepted(note)).last_event_id == "8"
    assert fold_all(accepted(Entry("stream", "message", "not json", "8"))).last_event_id == "8"


def test_which_ids_are_numbers() -> None:
    assert [number_of(each) for each in ("0", "007", "9" * 18)] == [0, 7, 10**18 - 1]
    for other in ("", "-1", "1.0", " 1", "1_0", "٣", "²", "9" * 19, "2026-01-01T00:00:00Z"):
        assert number_of(other) is None


def state_of(*items: Entry | Note, consumers: tuple[str, ...] = ("main",)) -> RunState:
    return fold_all(accepted(*items, consumers=consumers))


def test_attempts_count_what_raised_and_what_may_have_been_under_way() -> None:
    log = event("training.log", step=1)

    def attempt(*items: Entry | Note) -> int:
        return state_of(log, *items).consumer("main").attempt

    once = CallbackFailed("main", 3, "on_log", 1, "e")
    twice = CallbackFailed("main", 3, "on_log", 2, "e")
    crash, clean = Resumed(2, False, ("main",)), Resumed(2, True, ("main",))
    assert attempt() == 1
    assert attempt(once) == 2
    assert attempt(once, twice) == 3
    assert attempt(clean) == 1
    assert attempt(crash) == attempt(crash, crash) == 2
    assert attempt(once, crash) == 3
    assert attempt(crash, CallbackFailed("main", 3, "on_log", 2, "e")) == 3
    assert attempt(once, clean) == 2
    assert attempt(once, CallbackCompleted("main", 3, "on_log", 2)) == 1
    assert attempt(crash, CallbackCompleted("main", 3, "on_log", 2)) == 1
    assert attempt(once, CallbackCompleted("main", 3, "on_log", 2, done=False)) == 1


def test_a_consumer_that_is_new_after_a_crash_had_no_call_under_way() -> None:
    state = state_of(Resumed(2, False, ("main", "new")))
    assert state.consumer("main").attempt == 2
    assert state.consumer("new").attempt == 1


def test_a_record_owes_the_typed_callback_and_then_the_catch_all() -> None:
    events = {
        "training.started": ("on_started", {}),
        "training.log": ("on_log", {"step": 1}),
        "checkpoint.saved": ("on_checkpoint", {"step": 1}),
        "training.completed": ("on_completed", {}),
        "training.failed": ("on_failed", {"error": "e"}),
    }
    for kind, (callback, payload) in events.items():
        log = accepted(event(kind, **payload))
        assert calls_of(log[-1], fold_all(log)) == (callback, "on_event")
    for entry in (event("status"), Entry("stream", "end", "")):
        log = accepted(entry)
        assert calls_of(log[-1], fold_all(log)) == ("on_event",)
    for note in (CancelRequested(), Resumed(2, True)):
        log = accepted(note)
        assert calls_of(log[-1], fold_all(log)) == ()


def test_what_is_owed_shrinks_with_each_receipt() -> None:
    log = event("training.log", step=1)

    def left(*receipts: Note) -> tuple[str, ...]:
        records: list[Record] = accepted(log, *receipts)
        state = fold_all(records)
        return owed(records[2], state, state.consumer("main"))

    assert left() == ("on_log", "on_event")
    assert left(CallbackFailed("main", 3, "on_log", 1, "e")) == ("on_log", "on_event")
    assert left(CallbackCompleted("main", 3, "on_log", done=False)) == ("on_event",)
    assert left(
        CallbackCompleted("main", 3, "on_log", done=False),
        CallbackFailed("main", 3, "on_event", 1, "e"),
    ) == ("on_event",)
    assert left(CallbackCompleted("main", 3, "on_event")) == ()
    assert left(CallbackCompleted("main", 9, "on_event")) == ()
    assert left(CallbackCompleted("other", 3, "on_event")) == ("on_log", "on_event")
    assert left(CallbackCompleted("main", 3, "on_newer", done=False)) == ("on_log", "on_event")


def test_a_receipt_that_comes_late_takes_nothing_back() -> None:
    state = state_of(CallbackCompleted("main", 9), CallbackCompleted("main", 4))
    assert state.consumer("main").cursor == 9


def test_settled_means_ended_and_nothing_owed_to_those_who_are_named() -> None:
    main, other = CallbackCompleted("main", 3), CallbackCompleted("other", 3)
    both = ("main", "other")
    assert not state_of(main).settled
    assert not state_of(COMPLETED, consumers=both).settled
    assert not state_of(COMPLETED, main, consumers=both).settled
    assert state_of(COMPLETED, main, other, consumers=both).settled
    assert state_of(COMPLETED, main, Resumed(2, True, ("main",)), consumers=both).settled
    assert not state_of(COMPLETED, main, Resumed(2, True, ("new",))).settled
    assert not state_of(COMPLETED, CallbackCompleted("main", 3, "on_completed", done=False)).settled
    assert state_of(ended("cancelled"), main).settled


def test_a_cancel_request_and_the_latest_owners_provenance_are_known() -> None:
    state = state_of(CancelRequested("too dear"), Resumed(2, True, ("main",), {"pid": 7}))
    assert state.cancel_requested
    assert state.provenance == {"pid": 7}
    assert isinstance(state.wish, SubmitRequested)
