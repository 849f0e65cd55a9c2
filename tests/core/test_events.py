"""Decoding events: any text, and what the protocol says of each type."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core import events
from arkor.core.events import (
    LONGEST_REMEMBERED,
    MOST_REMEMBERED,
    CheckpointSaved,
    Malformed,
    Other,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    decode,
    read_event,
)

AT = "2026-01-01T00:00:01Z"
TYPES = (
    "training.started",
    "training.log",
    "checkpoint.saved",
    "training.completed",
    "training.failed",
    "end",
    "message",
)
FIELDS = ("type", "jobId", "step", "loss", "error", "artifacts", "timestamp", "metrics", "metadata")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6)
types = st.sampled_from(TYPES) | st.text(max_size=8)


def read(type: str, **payload: Any) -> object:
    return decode(type, json.dumps({"type": type, "jobId": "job-1", **payload}), "job-1")


@given(types, st.text(), st.none() | st.just("job-1"))
def test_any_text_decodes_to_something(type: str, data: str, job_id: str | None) -> None:
    assert decode(type, data, job_id) is not None
    assert isinstance(read_event(type, data)[0], str)


@given(types, payloads | json_values)
def test_any_json_decodes_to_something(type: str, value: object) -> None:
    data = json.dumps(value)
    assert decode(type, data, "job-1") is not None
    assert isinstance(read_event(type, data)[0].encode(), bytes)


@pytest.mark.parametrize("data", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "\ud800", "\0"])
def test_hostile_text_is_malformed(data: str) -> None:
    assert isinstance(decode("training.log", data), Malformed)
    assert read_event("training.log", data)[0] == "training.log"


def test_each_type_is_read_whole() -> None:
    assert read("training.started", timestamp=AT, metadata={"gpu": 1}) == TrainingStarted(
        AT, {"gpu": 1}
    )
    assert read(
        "training.log",
        step=3,
        loss=1.5,
        evalLoss=2,
        learningRate=1e-4,
        epoch=0.5,
        samplesPerSecond=7.5,
    ) == TrainingLog(3, 1.5, 2, 1e-4, 0.5, 7.5)
    assert read("checkpoint.saved", step=50, artifacts=[{"pathname": "a"}]) == CheckpointSaved(
        50, ({"pathname": "a"},)
    )
    assert read(
        "training.completed", timestamp=AT, artifacts=["a"], metrics={"loss": 1}
    ) == TrainingCompleted(AT, ("a",), {"loss": 1})
    assert read("training.failed", timestamp=AT, error="out of memory", step=7) == TrainingFailed(
        AT, "out of memory", 7
    )


def test_what_is_optional_may_be_missing_null_or_odd() -> None:
    assert read("training.started") == TrainingStarted(None)
    assert read("training.log", step=0) == TrainingLog(0)
    assert read("training.log", step=1, loss=None, epoch="x", evalLoss=True) == TrainingLog(1)
    assert read("checkpoint.saved", step=1, artifacts={"a": 1}) == CheckpointSaved(1)
    assert read("training.completed", timestamp=7, artifacts=None) == TrainingCompleted(None)
    for step in (None, "3", 1.5, True):
        assert read("training.failed", error="e", step=step) == TrainingFailed(None, "e")


@pytest.mark.parametrize(
    ("type", "payload"),
    [
        ("training.log", {}),
        ("training.log", {"step": None}),
        ("training.log", {"step": "3"}),
        ("training.log", {"step": True}),
        ("training.log", {"step": 1.5}),
        ("checkpoint.saved", {"artifacts": []}),
        ("training.failed", {}),
        ("training.failed", {"error": None}),
        ("training.failed", {"error": {"text": "e"}}),
    ],
)
def test_what_a_type_requires_must_be_there(type: str, payload: dict[str, Any]) -> None:
    assert isinstance(read(type, **payload), Malformed)


def test_a_step_may_be_written_as_a_whole_float() -> None:
    event = read("training.log", step=3.0)
    assert event == TrainingLog(3)
    assert isinstance(event, TrainingLog)
    assert isinstance(event.step, int)


@pytest.mark.parametrize(
    "data", ["null", "[]", "3", '"text"', "true", "", "{", "{} {}", "not json"]
)
def test_data_that_is_no_object_is_malformed(data: str) -> None:
    for kind in ("training.log", "anything"):
        assert isinstance(decode(kind, data, "job-1"), Malformed)


def test_an_event_of_another_job_is_malformed() -> None:
    for named in ("job-2", "", 1, ["job-1"]):
        assert isinstance(read("training.started", jobId=named), Malformed)
    for data in ('{"jobId":null}', "{}", '{"jobId":"job-1"}'):
        assert decode("training.started", data, "job-1") == TrainingStarted(None)
    assert decode("training.started", '{"jobId":"job-2"}') == TrainingStarted(None)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_json_does_not_have_is_not_json(constant: str) -> None:
    data = f'{{"type":"training.log","step":1,"loss":{constant}}}'
    assert isinstance(decode("training.log", data), Malformed)


def test_a_number_too_large_for_a_float_is_no_figure() -> None:
    diverged = decode("training.log", '{"step":1,"loss":1e309,"epoch":-1e309}')
    assert diverged == TrainingLog(1, loss=math.inf, epoch=-math.inf)
    assert isinstance(decode("training.log", '{"step":1e309}'), Malformed)
    huge = decode("training.log", '{"step":1,"loss":' + "9" * 400 + "}")
    assert isinstance(huge, TrainingLog)


def test_an_unknown_type_is_an_event_and_end_needs_no_json() -> None:
    assert decode("status", '{"status":"running"}') == Other("status")
    for data in ("", "{}", "bye", "null"):
        assert decode("end", data, "job-1") == Other("end")


def test_the_type_is_the_payloads_else_the_events_name() -> None:
    assert read_event("message", '{"type":"training.log"}')[0] == "training.log"
    for data in ("{}", "[]", "null", "x", '{"type":3}', '{"type":""}', '["type"]'):
        assert read_event("status", data)[0] == "status"
    assert read_event("message", '{"type":"a\\ud800b"}')[0] == "a?b"


def test_what_is_kept_decoded_is_of_its_own_job_and_type() -> None:
    data = '{"type":"training.log","jobId":"job-1","step":1}'
    assert decode("training.log", data, "job-1") == TrainingLog(1)
    assert isinstance(decode("training.log", data, "job-2"), Malformed)
    assert decode("training.log", data) == TrainingLog(1)
    assert decode("checkpoint.saved", data, "job-1") == CheckpointSaved(1)
    assert decode("training.other", data, "job-1") == Other("training.other")
    assert read_event("message", data, "job-2")[0] == "training.log"
    assert isinstance(read_event("message", data, "job-2")[1], Malformed)


def test_only_so_many_events_are_kept_decoded_and_none_that_is_long() -> None:
    for n in range(3 * MOST_REMEMBERED):
        assert decode("training.log", f'{{"step":{n}}}') == TrainingLog(n)
        assert len(events._logs) <= MOST_REMEMBERED
    long = '{"step":1,"more":"' + "x" * LONGEST_REMEMBERED + '"}'
    assert decode("training.log", long) == TrainingLog(1)
    assert (long, None) not in events._logs


def test_threads_decode_side_by_side() -> None:
    def read_all(thread: int) -> bool:
        job = f"job-{thread}"
        read = [decode("training.log", f'{{"step":{n % 3000}}}', job) for n in range(9000)]
        return read == [TrainingLog(n % 3000) for n in range(9000)]

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read_all, range(4)))
