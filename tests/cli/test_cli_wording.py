"""What a record says in a line."""

import json
from typing import Any

from arkor.cli.wording import summary
from arkor.core.notes import CallbackFailed, entry_of
from arkor.core.record import GENESIS, Entry, chain

AT = "2026-11-24T10:00:00.000000Z"


def event(type: str, **fields: Any) -> Entry:
    return Entry("stream", type, json.dumps({"type": type, **fields}))


def test_a_record_is_summed_up_in_a_line() -> None:
    failed = entry_of(CallbackFailed("main", 7, "on_log", 2, "ValueError: no"))
    lines = [
        summary(record)
        for record in chain(
            "RUN",
            [
                event("training.log", step=5, loss=1.23456, learningRate=0.001),
                event("checkpoint.saved", step=5, artifacts=[{}]),
                event("training.failed", error="out of memory"),
                Entry("stream", "training.log", "[]"),
                Entry("stream", "end", "{}"),
                failed,
            ],
            after=0,
            prev_digest=GENESIS,
            recorded_at=AT,
        )
    ]
    assert lines == [
        "step 5  loss 1.235  lr 0.001",
        "step 5, 1 artifact",
        "out of memory",
        "malformed: the data is not a JSON object",
        "{}",
        "callback on_log  consumer main  record 7  attempt 2  error ValueError: no",
    ]
