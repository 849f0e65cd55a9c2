"""Jobs as JSON, and the frames both ends agree on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.client.sse import EventDecoder, Frame
from arkor.core.wire import Adapter, Scope, frame, parse_job
from arkor.errors import ProtocolError

JOB: dict[str, Any] = {
    "id": "job-1",
    "orgId": "org-1",
    "projectId": "project-1",
    "name": "a run",
    "status": "queued",
    "config": {"model": "any/model", "extra": 1},
    "createdAt": "2026-01-01T00:00:00Z",
}
ENDED = {"error": "e", "startedAt": "2026", "completedAt": "2027", "idempotencyKey": "K"}


def test_a_job_is_written_as_it_was_read() -> None:
    full = {**JOB, **ENDED}
    assert parse_job(full).to_wire() == full
    assert parse_job(JOB).to_wire() == {
        **JOB,
        "error": None,
        "startedAt": None,
        "completedAt": None,
    }
    assert parse_job(full).extra == {"idempotencyKey": "K"}


def test_statuses_are_an_open_set() -> None:
    assert not parse_job({**JOB, "status": "paused"}).terminal
    for status in ("completed", "failed", "cancelled"):
        assert parse_job({**JOB, "status": status}).terminal


@pytest.mark.parametrize("field", ["id", "orgId", "projectId", "name", "status", "createdAt"])
@pytest.mark.parametrize("value", [None, 7, ["x"]])
def test_a_required_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=f"`{field}`"):
        parse_job({**JOB, field: value})
    with pytest.raises(ProtocolError, match=f"`{field}`"):
        parse_job({key: given for key, given in JOB.items() if key != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [("error", 1), ("startedAt", 5.0), ("completedAt", {}), ("config", []), ("config", None)],
)
def test_an_optional_field_of_another_type_is_named(field: str, value: object) -> None:
    with pytest.raises(ProtocolError, match=f"`{field}`"):
        parse_job({**JOB, field: value})


@pytest.mark.parametrize("value", [None, [], "job", 7])
def test_only_an_object_is_a_job(value: object) -> None:
    with pytest.raises(ProtocolError, match="JSON object"):
        parse_job(value)


def test_an_adapter_names_its_step_if_it_has_one() -> None:
    assert Adapter("final", "job-1").to_wire() == {"kind": "final", "jobId": "job-1"}
    assert Adapter("checkpoint", "job-1", 0).to_wire() == {
        "kind": "checkpoint",
        "jobId": "job-1",
        "step": 0,
    }


data = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
names = st.from_regex(r"[a-z]+(\.[a-z]+)?", fullmatch=True)
ids = st.none() | st.from_regex(r"[A-Za-z0-9:._-]{0,12}", fullmatch=True)


@given(st.lists(st.tuples(names, data, ids), max_size=5), st.integers(1, 7))
def test_a_frame_is_what_the_client_reads(
    events: list[tuple[str, str, str | None]], step: int
) -> None:
    sent = b"".join(frame(*event) for event in events)
    decoder = EventDecoder()
    read = [each for at in range(0, len(sent), step) for each in decoder.feed(sent[at : at + step])]
    assert all(isinstance(each, Frame) for each in read)
    expected = [
        (event, text.replace("\r\n", "\n").replace("\r", "\n"), own) for event, text, own in events
    ]
    assert [
        (each.event, each.data, each.id) for each in read if isinstance(each, Frame)
    ] == expected


def test_a_scope_is_asked_for_in_the_query() -> None:
    assert Scope("org", "project").to_query() == {"orgSlug": "org", "projectSlug": "project"}
