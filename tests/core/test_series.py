"""A series keeps a curve's shape in constant memory."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core.series import Series

FIGURES = st.lists(st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf]))


def series(values: list[float], most: int) -> Series[int]:
    made: Series[int] = Series(most)
    for place, value in enumerate(values):
        made.add(place, value)
    return made


def test_an_empty_series_has_no_points_and_no_summary() -> None:
    empty: Series[int] = Series()
    assert (len(empty), list(empty.points()), empty.summary()) == (0, [], None)


def test_a_series_needs_a_bucket() -> None:
    with pytest.raises(ValueError, match="at least one bucket"):
        Series(0)


def test_few_points_are_all_there() -> None:
    values = [math.sin(place) for place in range(200)]
    made = series(values, most=100)
    assert made.exact
    assert [point.y for point in made.points()] == values


def test_many_points_keep_a_spike_and_a_dip() -> None:
    values = [1.0] * 100_000
    values[61_234], values[61_235] = 99.0, -99.0
    made = series(values, most=50)
    kept = {point.x: point.y for point in made.points()}
    assert kept[61_234] == 99.0
    assert kept[61_235] == -99.0
    assert len(kept) <= 5 * 50
    assert not made.exact


def test_a_diverged_figure_is_a_gap() -> None:
    made = series([2.0, math.inf, 3.0, math.nan], most=10)
    assert [point.y for point in made.points()] == [2.0, None, 3.0, None]
    summary = made.summary()
    assert summary is not None
    assert (summary.count, summary.gaps, summary.last.y) == (2, 2, 3.0)


def test_only_gaps_have_no_summary() -> None:
    assert series([math.nan] * 40, most=3).summary() is None


@given(FIGURES, st.integers(1, 9))
def test_what_is_kept_is_true_and_in_order(values: list[float], most: int) -> None:
    points = list(series(values, most).points())
    assert len(points) <= 5 * most
    assert all(a.index < b.index for a, b in pairwise(points))
    for point in points:
        value = values[point.index]
        assert point.x == point.index
        assert point.y == (value if math.isfinite(value) else None)


@given(FIGURES, st.integers(1, 9))
def test_the_ends_and_the_extremes_are_never_lost(values: list[float], most: int) -> None:
    made = series(values, most)
    finite = [value for value in values if math.isfinite(value)]
    kept = [point.y for point in made.points() if point.y is not None]
    summary = made.summary()
    if not finite:
        assert summary is None
        return
    assert summary is not None
    ends = (summary.first.y, summary.last.y, summary.least.y, summary.greatest.y)
    assert ends == (finite[0], finite[-1], min(finite), max(finite))
    assert summary.least.index == values.index(min(finite))
    assert summary.greatest.index == values.index(max(finite))
    assert set(ends) <= set(kept)
    assert (kept[0], kept[-1]) == (finite[0], finite[-1])
    assert (summary.count, summary.gaps) == (len(finite), len(values) - len(finite))


@given(FIGURES, st.integers(1, 9))
def test_an_exact_series_has_every_point(values: list[float], most: int) -> None:
    made = series(values, most)
    assert made.exact or len(values) > 2 * most
    if made.exact and all(map(math.isfinite, values)):
        assert [point.y for point in made.points()] == values
