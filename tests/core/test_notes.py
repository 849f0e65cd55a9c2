"""Notes: written and read back by any release."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core.notes import (
    Aborted,
    Attached,
    CallbackCompleted,
    CallbackFailed,
    CancelRequested,
    Note,
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
    read_note,
)
from arkor.core.record import GENESIS, Entry, Record, chain

JOB = {"id": "job-1", "config": {"model": "m"}, "nested": [1, None, {"a": "ä"}]}
PLACE: dict[str, Any] = {
    "base_url": "local",
    "org_slug": "local",
    "project_slug": "triage",
    "project_root": "/home/ada/triage",
    "consumers": ("main", "other"),
    "provenance": {"digests": {"index.py": "ab12"}},
}
NOTES = (
    SubmitRequested("a run", {"model": "m"}, "f00d", "KEY", **PLACE, run_key="nightly"),
    SubmitRequested("a run", {}, "f00d", "KEY", "u", "o", "p", "/r"),
    Submitted(JOB, matched=True),
    SubmitRefused(422, "no such model"),
    Attached(JOB, **PLACE),
    Resumed(2, False, ("main",), {"pid": 7}),
    StreamOpened("41"),
    StreamOpened(),
    StreamClosed("end", 10, 2, 1, 3, 4),
    StreamGap("3", "7"),
    StreamConflict("3", 9),
    StreamConflict("3"),
    StreamOversize("training.log", 17_000_000, "ab12"),
    CallbackCompleted("main", 7, "on_log", 2, done=False, seconds=0.25),
    CallbackCompleted("main", 8),
    CallbackFailed("main", 7, "on_log", 1, "ValueError: größer"),
    StepCompleted("main", 7, "on_log", "once", "mail", "d1", [1, {"a": [2]}], 3),
    CancelRequested("too dear"),
    Aborted(None),
    Reconciled(JOB, "end"),
)


def record(entry: Entry) -> Record:
    return chain("RUN", [entry], after=0, prev_digest=GENESIS, recorded_at="2026")[0]


def local(kind: Any, data: object) -> Record:
    return record(Entry("local", kind.TYPE, data if isinstance(data, str) else json.dumps(data)))


def test_every_kind_is_among_them() -> None:
    assert {type(note) for note in NOTES} == set(Note.__args__)


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.TYPE)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    entry = entry_of(note)
    assert (entry.source, entry.type, entry.sse_id) == ("local", note.TYPE, None)
    assert read_note(record(entry)) == note


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.TYPE)
def test_a_field_of_a_newer_release_is_ignored(note: Note) -> None:
    data = {**json.loads(entry_of(note).data), "a_newer_field": {"x": 1}}
    assert read_note(local(note, data)) == note


def test_what_an_older_release_lacked_takes_its_default() -> None:
    assert read_note(local(Submitted, {"job": JOB})) == Submitted(JOB, matched=False)
    assert read_note(local(StreamClosed, {"reason": "end"})) == StreamClosed("end")
    assert read_note(local(Resumed, {"epoch": 2, "clean": True})) == Resumed(2, True, (), {})
    assert read_note(local(CallbackCompleted, {"consumer": "main", "record": 7})) == (
        CallbackCompleted("main", 7, None, 1, done=True, seconds=0.0)
    )


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (CallbackCompleted, "not json"),
        (CallbackCompleted, "null"),
        (CallbackCompleted, "[" * 100_000),
        (CallbackCompleted, {}),
        (CallbackCompleted, {"consumer": "main"}),
        (CallbackCompleted, {"consumer": "main", "record": "7"}),
        (CallbackCompleted, {"consumer": "main", "record": 7.0}),
        (CallbackCompleted, {"consumer": "main", "record": True}),
        (CallbackCompleted, {"consumer": ["main"], "record": 7}),
        (CallbackCompleted, {"consumer": "main", "record": 7, "done": 1}),
        (Submitted, {"job": "job-1"}),
        (Submitted, {"job": None}),
        (Resumed, {"epoch": 1, "clean": True, "consumers": "main"}),
        (Resumed, {"epoch": 1, "clean": True, "consumers": [1]}),
        (Attached, {}),
    ],
)
def test_what_is_no_such_note_is_none(kind: Any, data: object) -> None:
    assert read_note(local(kind, data)) is None


def test_only_local_records_of_known_types_are_notes() -> None:
    entry = entry_of(CancelRequested())
    assert read_note(record(entry._replace(source="stream"))) is None
    assert read_note(record(entry._replace(type="arkor.newer"))) is None


@given(st.sampled_from([note.TYPE for note in NOTES]), st.text())
def test_reading_never_raises(type: str, data: str) -> None:
    read_note(record(Entry("local", type, data)))


def test_the_bytes_are_compact_utf8_and_keep_an_event_id() -> None:
    assert entry_of(StreamGap("ä", "7"), sse_id="9") == Entry(
        "local", "arkor.stream.gap", '{"after":"ä","before":"7"}', "9"
    )
