"""A metric's distribution in a few figures, over all that was reported of it."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from arkor.core.metrics import metric_rows
from arkor.core.record import Record
from arkor.runner.timeline import METRICS

__all__ = ["Statistics", "statistics_of", "summed_up"]

T_95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95 %, two-sided, by the degrees of freedom from 1 on."""

NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Statistics:
    """`count` finite values: their mean, give or take `half_width` at 95 %, and their spread.

    `variance` and `deviation` are those of a sample (n - 1), and `None` of a single value.
    """

    count: int
    mean: float
    half_width: float | None
    deviation: float | None
    variance: float | None
    p90: float
    p95: float

    def to_wire(self) -> dict[str, float | None]:
        """The JSON form, camelCase."""
        return {
            "count": self.count,
            "mean": self.mean,
            "halfWidth": self.half_width,
            "deviation": self.deviation,
            "variance": self.variance,
            "p90": self.p90,
            "p95": self.p95,
        }


def statistics_of(records: Iterable[Record]) -> Mapping[str, Statistics]:
    """The statistics of each metric of a log that has any value."""
    values = {name: array("d") for name in METRICS}
    for row in metric_rows(records):
        for name, found in values.items():
            value = getattr(row, name)
            if value is not None and math.isfinite(value):
                found.append(value)
    return {name: summed_up(found) for name, found in values.items() if found}


def summed_up(values: Sequence[float]) -> Statistics:
    """The statistics of at least one value."""
    count = len(values)
    mean = math.fsum(values) / count
    inside = sorted(values)
    p90, p95 = _percentile(inside, 0.90), _percentile(inside, 0.95)
    if count == 1:
        return Statistics(count, mean, None, None, None, p90, p95)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    t = T_95[count - 2] if count - 1 <= len(T_95) else NORMAL_95
    return Statistics(
        count, mean, t * math.sqrt(variance / count), math.sqrt(variance), variance, p90, p95
    )


def _percentile(inside: Sequence[float], share: float) -> float:
    """Between the two values in order that are next to the place, by the distance to each."""
    place = share * (len(inside) - 1)
    below = int(place)
    above = min(below + 1, len(inside) - 1)
    return inside[below] + (inside[above] - inside[below]) * (place - below)
