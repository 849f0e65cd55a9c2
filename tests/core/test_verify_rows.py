"""The check of a chain is total: whatever stands in its rows, it is a finding or the log itself."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arkor.core.anchor import Anchor, parse_anchor
from arkor.core.record import GENESIS, Entry, chain
from arkor.core.tampering import recorded_as
from arkor.core.verify import verify_rows

AT = "2026-01-01T00:00:00.000000Z"

ROWS: list[tuple[Any, ...]] = [
    (each.seq, each.source, each.type, each.sse_id, each.recorded_at, each.data, each.digest)
    for each in chain(
        "RUN",
        [Entry("stream", "training.log", f"{n}", str(n) if n % 3 else None) for n in range(8)],
        after=0,
        prev_digest=GENESIS,
        recorded_at=AT,
    )
]

junk = st.one_of(
    st.none(),
    st.integers(-3, 12),
    st.floats().filter(lambda number: not number.is_integer()),
    st.text(st.characters(), max_size=3),
    st.just("a\ud800"),
    st.binary(max_size=33),
    st.sampled_from([row[6] for row in ROWS]),
)
fields = st.dictionaries(st.integers(0, 6), junk, min_size=1, max_size=7)


@given(st.dictionaries(st.integers(0, 7), fields, max_size=4), st.permutations(range(8)))
def test_it_never_raises_and_never_passes_what_is_not_the_log(
    changes: dict[int, dict[int, object]], order: list[int]
) -> None:
    rows = [list(ROWS[index]) for index in order]
    for index, values in changes.items():
        for place, value in values.items():
            rows[index][place] = value
    given_rows: Any = [tuple(row) for row in rows]
    heads = [Anchor(ROWS[-1][6])]
    report = verify_rows("RUN", given_rows, heads)
    assert report.ok == (given_rows == ROWS)
    assert (report.problem is None) == (report.fault is None) == report.ok
    recorded_as("OTHER", given_rows, given_rows[0])


@given(st.integers(0, 7), st.integers(1, 8))
def test_what_is_left_of_a_log_is_not_the_log(first: int, count: int) -> None:
    rows: Any = ROWS[:first] + ROWS[first + count :]
    report = verify_rows("RUN", rows, [Anchor(ROWS[-1][6])])
    assert (report.ok, report.records, report.first_bad_seq) == (False, first, first + 1)


def test_an_anchor_is_read_as_it_was_written() -> None:
    anchor = Anchor(ROWS[4][6], "RUN", 5, AT)
    assert parse_anchor(anchor.line()) == anchor
    assert parse_anchor(Anchor(ROWS[4][6]).line()) == Anchor(ROWS[4][6])
