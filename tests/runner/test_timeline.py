"""A log's course is told from one pass over it."""

import json
from typing import Any

import pytest

from arkor.core.notes import (
    CallbackCompleted,
    CallbackFailed,
    Reconciled,
    Resumed,
    StepCompleted,
    StreamClosed,
    StreamConflict,
    StreamGap,
    StreamOpened,
    StreamOversize,
    SubmitRefused,
    SubmitRequested,
    Submitted,
    entry_of,
)
from arkor.core.record import GENESIS, Entry, Record, chain
from arkor.runner.timeline import read_timeline

AT = "2026-01-01T00:00:00.000000Z"
JOB = {
    "id": "job-1",
    "orgId": "o",
    "projectId": "p",
    "name": "a run",
    "status": "queued",
    "createdAt": AT,
}
WISH = SubmitRequested("a run", {"model": "m"}, "f", "K", "u", "o", "p", "/r", ("main",))


def event(type: str, **payload: Any) -> Entry:
    return Entry("stream", type, json.dumps({"type": type, "jobId": "job-1", **payload}))


def log_of(*items: Any) -> list[Record]:
    entries = [item if isinstance(item, Entry) else entry_of(item) for item in items]
    return chain("RUN", entries, after=0, prev_digest=GENESIS, recorded_at=AT)


def accepted(*items: Any) -> list[Record]:
    return log_of(WISH, Submitted(JOB), *items)


def test_curves_and_checkpoints() -> None:
    log = [event("training.log", step=step, loss=1 / step, evalLoss=2 / step) for step in (1, 2)]
    saved = event("checkpoint.saved", step=2, artifacts=[1, 2])
    timeline = read_timeline(accepted(*log, saved))
    loss = timeline.series["loss"].summary()
    assert loss is not None
    assert (loss.count, loss.first.x.step, loss.last.y) == (2, 1, 0.5)
    assert list(timeline.facts.metrics) == ["loss", "eval_loss"]
    assert [(each.when.step, each.artifacts) for each in timeline.checkpoints] == [(2, 2)]
    assert not timeline.state.terminal
    assert timeline.ended is None


def test_a_figure_that_diverged_is_a_gap() -> None:
    diverged = Entry("stream", "training.log", '{"type":"training.log","step":2,"loss":1e999}')
    timeline = read_timeline(accepted(event("training.log", step=1, loss=1.0), diverged))
    assert [point.y for point in timeline.series["loss"].points()] == [1.0, None]


def test_the_stream_is_told_with_what_may_be_lost() -> None:
    timeline = read_timeline(
        accepted(
            StreamOpened(),
            StreamClosed("reset", events=3, repeated=2),
            StreamOpened("7"),
            StreamGap("7", "11"),
            StreamConflict("11", 4),
            StreamOversize("training.log", 20_000_000, "ab"),
            Entry("stream", "training.log", "nonsense"),
        )
    )
    assert timeline.reconnects == 1
    assert (timeline.missing, timeline.repeated) == (3, 2)
    assert [each.kind for each in timeline.losses] == ["gap", "conflict", "too large", "malformed"]
    assert not timeline.whole
    words = [each.what for each in timeline.happenings]
    assert words[1] == "reset (3 events, 2 repeated)"
    assert words[3] == "no event came between the ids 7 and 11"


def test_calls_are_counted_and_the_last_200_kept() -> None:
    receipts = [CallbackCompleted("main", 3, "on_log", seconds=0.5) for _ in range(300)]
    timeline = read_timeline(
        accepted(
            *receipts,
            CallbackFailed("main", 4, "on_log", 1, "ValueError: no"),
            CallbackFailed("main", 4, "on_log", 2, "CancelledError: ", interrupted=True),
            CallbackCompleted("main", 4, "on_log", attempt=3, seconds=2.0),
            StepCompleted("main", 4, "on_log", "once", "pay", "ab", error={"type": "E"}),
        )
    )
    deliveries = timeline.deliveries
    (tally,) = deliveries.in_order
    assert (tally.calls, tally.repeated, tally.failures, tally.interrupted) == (301, 1, 1, 1)
    assert (tally.seconds, tally.longest) == (152.0, 2.0)
    assert (deliveries.calls.total, len(deliveries.calls)) == (303, 200)
    assert [each.error for each in deliveries.failures] == ["ValueError: no", "CancelledError: "]
    assert [(each.key, each.error) for each in deliveries.effects] == [("pay", "E: None")]


def test_many_names_share_a_tally() -> None:
    receipts = [CallbackCompleted(f"set {number}", 3, "on_log") for number in range(500)]
    tallies = read_timeline(accepted(*receipts)).deliveries.tallies
    assert len(tallies) == 201
    assert sum(each.calls for each in tallies.values()) == 500


def test_each_owner_is_named() -> None:
    taken = Resumed(2, False, ("main",), provenance={"host": "h", "pid": 5})
    timeline = read_timeline(accepted(taken))
    assert [owner.how for owner in timeline.owners] == ["submitted", "resumed"]
    (happening,) = timeline.happenings
    assert happening.kind == "taken over"
    assert "process 5 on h" in happening.what


@pytest.mark.parametrize(
    ("notes", "status"),
    [
        ([Submitted(JOB), Reconciled({**JOB, "status": "cancelled"}, "end")], "cancelled"),
        ([SubmitRefused(422, "no such model")], "refused"),
    ],
)
def test_an_end_without_an_event_is_an_end(notes: list[Any], status: str) -> None:
    timeline = read_timeline(log_of(WISH, *notes))
    assert timeline.state.status == status
    assert timeline.ended is not None


@pytest.mark.parametrize("said", ["", "yesterday", "0001-01-01T00:00:00", 17, None, "9" * 99])
def test_any_timestamp_will_do(said: object) -> None:
    read_timeline(accepted(event("training.log", step=1, loss=1.0, timestamp=said)))


@pytest.mark.parametrize(
    "data", ["", "[]", "{}", "null", '{"step":"x"}', '{"seconds":NaN}', "\x00", "[" * 9_000]
)
def test_nonsense_in_the_log_is_no_obstacle(data: str) -> None:
    notes = [StreamOpened(), CallbackCompleted("main", 3, "on_log"), StreamGap("x", "y")]
    records = accepted(event("training.log", step=1, loss=1.0), *notes)
    for place in range(len(records)):
        broken = list(records)
        broken[place] = records[place]._replace(data=data)
        read_timeline(broken)
