"""An excerpt counts everything, and keeps both ends."""

from hypothesis import given
from hypothesis import strategies as st

from arkor.core.excerpt import Excerpt


@given(st.integers(0, 50), st.integers(0, 9), st.integers(0, 9))
def test_both_ends_are_kept_and_everything_is_counted(count: int, first: int, last: int) -> None:
    made: Excerpt[int] = Excerpt(first, last)
    for number in range(count):
        made.add(number)
    everything = list(range(count))
    assert made.total == count
    assert list(made.head) == everything[:first]
    assert list(made.tail) == (everything[first:][-last:] if last else [])
    assert list(made) == [*made.head, *made.tail]
    assert made.left_out == count - len(made)
    if count <= first + last:
        assert list(made) == everything
