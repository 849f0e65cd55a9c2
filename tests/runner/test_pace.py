"""How far and how fast: a pure reading of records."""

import json
from typing import Any

from arkor.core.notes import Resumed, SubmitRequested, entry_of
from arkor.core.record import GENESIS, Entry, Record, chain
from arkor.runner.pace import Pace, observe
from arkor.runner.wording import duration

AT = "2026-11-24T10:00:00.000000Z"


def records(*entries: Entry) -> list[Record]:
    return chain("RUN", entries, after=0, prev_digest=GENESIS, recorded_at=AT)


def event(type: str, **fields: Any) -> Entry:
    return Entry("stream", type, json.dumps({"type": type, **fields}))


def log(step: int, second: int, **figures: float) -> Entry:
    time = f"2026-11-24T10:00:{second:02}Z"
    return event("training.log", step=step, timestamp=time, **figures)


def pace_of(*entries: Entry) -> Pace:
    pace = Pace()
    for record in records(*entries):
        pace = observe(pace, record)
    return pace


def wish(**config: Any) -> Entry:
    return entry_of(
        SubmitRequested(
            name="n",
            config=config,
            fingerprint="f",
            idempotency_key="k",
            base_url="local",
            org_slug="o",
            project_slug="p",
            project_root="/",
        )
    )


def test_the_rate_and_the_time_left_come_from_the_backends_clock() -> None:
    pace = pace_of(wish(maxSteps=100), log(0, 0, loss=4.0), log(10, 5, loss=2.0, evalLoss=2.5))
    assert (pace.step, pace.total, pace.rate, pace.left) == (10, 100, 2.0, 45.0)
    assert str(pace) == "step 10/100  loss 2  eval loss 2.5  2 steps/s  45s left"


def test_the_total_is_what_the_backend_says_else_what_was_asked_for() -> None:
    assert pace_of(wish(maxSteps=100)).total == 100
    assert pace_of(wish(maxSteps=100, dryRun=True)).total == 10
    assert pace_of(wish(numTrainEpochs=1)).total is None
    started = event("training.started", metadata={"totalSteps": 7})
    assert pace_of(wish(maxSteps=100), started).total == 7


def test_the_time_between_two_owners_is_not_counted() -> None:
    resumed = entry_of(Resumed(epoch=2, clean=False))
    pace = pace_of(log(1, 0), log(2, 1), resumed, log(3, 50), log(4, 51))
    assert pace.rate == 1.0


def test_an_evaluation_at_the_same_step_is_no_progress() -> None:
    pace = pace_of(log(1, 0), log(5, 4), log(5, 30, evalLoss=1.0))
    assert pace.rate == 1.0


def test_records_that_mean_nothing_change_nothing() -> None:
    strange = Entry("stream", "training.log", "no JSON"), event("new.type", step=3), event("end")
    assert pace_of(*strange) == Pace()


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(each) for each in (0, 45, 75, 7507)] == ["0s", "45s", "1m 15s", "2h 05m 07s"]
