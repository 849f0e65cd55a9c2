"""The chain of digests, against a second implementation made from the contract's words alone."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core.record import GENESIS, Entry, Record, chain

AT = "2026-01-01T00:00:00.000000Z"

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
entries = st.builds(Entry, st.sampled_from(["stream", "local"]), texts, texts, st.none() | texts)


def recomputed(record: Record, before: bytes) -> bytes:
    form = b""
    for name in ("run_id", "seq", "source", "type", "sse_id", "recorded_at", "data"):
        value = getattr(record, name)
        if value is None:
            form += b"\xff" * 8
        else:
            text = str(value).encode()
            form += len(text).to_bytes(8, "big") + text
    return hashlib.sha256(before + form).digest()


@given(st.lists(entries, max_size=6), st.lists(entries, max_size=3))
def test_anyone_can_recompute_it(first: list[Entry], second: list[Entry]) -> None:
    records = chain("RUN", first, after=0, prev_digest=bytes(32), recorded_at=AT)
    tail = records[-1].digest if records else bytes(32)
    records += chain("RUN", second, after=len(first), prev_digest=tail, recorded_at=AT)
    before = bytes(32)
    for seq, record in enumerate(records, 1):
        assert record.seq == seq
        assert record.prev_digest == before
        assert record.digest == recomputed(record, before)
        before = record.digest


def test_a_known_digest() -> None:
    """So that a journal of this release verifies in every later one."""
    entry = Entry("stream", "training.log", '{"step":1,"text":"ä"}', "7")
    (record,) = chain("01RUN", [entry], after=0, prev_digest=GENESIS, recorded_at=AT)
    assert record.digest.hex() == "7647a44a9c7d1f71e11195aec5c4ca2ca3f144639a3ebd0f3ffb7a4c11530712"


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "R2"},
        {"seq": 2},
        {"source": "local"},
        {"type": "training.logs"},
        {"sse_id": None},
        {"sse_id": ""},
        {"recorded_at": AT.replace("0Z", "1Z")},
        {"data": '{"step": 1}'},
        {"type": "training.log7", "sse_id": ""},
        {"prev_digest": bytes(31) + b"\1"},
    ],
)
def test_every_field_is_covered_and_none_runs_into_the_next(change: dict[str, object]) -> None:
    entry = Entry("stream", "training.log", '{"step":1}', "7")
    (record,) = chain("RUN", [entry], after=0, prev_digest=GENESIS, recorded_at=AT)
    other = record._replace(**change)
    assert recomputed(other, other.prev_digest) != record.digest


def test_a_lone_surrogate_breaks_nothing() -> None:
    entry = Entry("stream", "a\ud800", "{}")
    (record,) = chain("RUN", [entry], after=0, prev_digest=GENESIS, recorded_at=AT)
    assert len(record.digest) == 32
