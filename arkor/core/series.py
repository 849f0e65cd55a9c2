"""A metric's curve in a fixed number of points, however long the run: its shape and extremes kept."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = ["BUCKETS", "Point", "Series", "Summary"]

BUCKETS: Final = 1000
"""Buckets of a series unless it is told otherwise: a screen has not many more columns."""

X = TypeVar("X")


@dataclass(frozen=True, slots=True)
class Point(Generic[X]):
    """One point of a curve. `index` is its place among all points added, from 0.

    `y` is `None` where the curve has a gap: the figure was infinite or not a number.
    """

    index: int
    x: X
    y: float | None


@dataclass(frozen=True, slots=True)
class Summary(Generic[X]):
    """A series in a few figures, exact whatever was left out of its points.

    `count` counts the finite values, `gaps` those that were infinite or not a number.
    """

    count: int
    gaps: int
    first: Point[X]
    last: Point[X]
    least: Point[X]
    greatest: Point[X]


class Series(Generic[X]):
    """The points of a curve in the order in which they come, in constant memory.

    Consecutive points share a bucket, of which the first, the least, the greatest and the last
    are kept, and the first gap. When all `most` buckets are full, neighbours are merged and a
    bucket holds twice as many points. So up to `2 * most` points the curve is exact, and beyond
    that no extreme is lost (min-max aggregation, as M4 does it: Jugel et al., VLDB 2014).
    `x` is whatever the caller counts by; it is kept and never looked at.
    """

    def __init__(self, most: int = BUCKETS) -> None:
        if most < 1:
            raise ValueError("a series needs at least one bucket")
        self._most = most
        self._width = 1
        self._buckets: list[_Bucket[X]] = []
        self._added = 0
        self._gaps = 0

    def __len__(self) -> int:
        """How many points were added, gaps included."""
        return self._added

    def add(self, x: X, y: float) -> None:
        """Add the next point. A `y` that is infinite or not a number is a gap."""
        finite = math.isfinite(y)
        point = Point(self._added, x, y if finite else None)
        if self._added == self._width * len(self._buckets):
            self._open()
        self._buckets[-1].take(point)
        self._added += 1
        self._gaps += not finite

    def points(self) -> Iterator[Point[X]]:
        """The points that are kept, in order: at most five of each bucket."""
        for bucket in self._buckets:
            yield from bucket.points()

    @property
    def exact(self) -> bool:
        """Whether every point that was added is still there."""
        return self._width <= 2

    def summary(self) -> Summary[X] | None:
        """The series in a few figures; `None` if no value of it was finite."""
        found = [bucket for bucket in self._buckets if bucket.first is not None]
        if not found:
            return None
        first, last, least, greatest = found[0].first, found[-1].last, found[0], found[0]
        for bucket in found[1:]:
            least = bucket if _y(bucket.least) < _y(least.least) else least
            greatest = bucket if _y(bucket.greatest) > _y(greatest.greatest) else greatest
        return Summary(
            self._added - self._gaps,
            self._gaps,
            _there(first),
            _there(last),
            _there(least.least),
            _there(greatest.greatest),
        )

    def _open(self) -> None:
        if len(self._buckets) == self._most:
            self._merge()
        if self._added == self._width * len(self._buckets):
            self._buckets.append(_Bucket())

    def _merge(self) -> None:
        old, self._width = self._buckets, self._width * 2
        self._buckets = old[::2]
        for bucket, after in zip(self._buckets, old[1::2], strict=False):
            bucket.join(after)


class _Bucket(Generic[X]):
    """What is kept of a number of consecutive points."""

    __slots__ = ("first", "gap", "greatest", "last", "least")

    def __init__(self) -> None:
        self.first: Point[X] | None = None
        self.last: Point[X] | None = None
        self.least: Point[X] | None = None
        self.greatest: Point[X] | None = None
        self.gap: Point[X] | None = None

    def take(self, point: Point[X]) -> None:
        """One more point, behind the others."""
        if point.y is None:
            self.gap = self.gap or point
            return
        if self.first is None:
            self.first = self.least = self.greatest = point
        elif point.y < _y(self.least):
            self.least = point
        elif point.y > _y(self.greatest):
            self.greatest = point
        self.last = point

    def join(self, after: "_Bucket[X]") -> None:
        """All points of the bucket behind this one."""
        self.gap = self.gap or after.gap
        if after.first is None:
            return
        if self.first is None:
            self.first, self.least, self.greatest = after.first, after.least, after.greatest
        else:
            self.least = after.least if _y(after.least) < _y(self.least) else self.least
            if _y(after.greatest) > _y(self.greatest):
                self.greatest = after.greatest
        self.last = after.last

    def points(self) -> list[Point[X]]:
        kept = (self.first, self.least, self.greatest, self.last, self.gap)
        return sorted(
            {point.index: point for point in kept if point is not None}.values(),
            key=lambda point: point.index,
        )


def _there(point: Point[X] | None) -> Point[X]:
    assert point is not None
    return point


def _y(point: Point[X] | None) -> float:
    assert point is not None
    assert point.y is not None
    return point.y
