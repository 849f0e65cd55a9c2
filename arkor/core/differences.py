"""What tells two runs apart: their configs, path by path, and how they went."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from arkor.core.series import Summary

__all__ = [
    "ABSENT",
    "Change",
    "Comparison",
    "Difference",
    "MetricPair",
    "RunFacts",
    "compare",
    "differences",
    "leaves",
]

Change = Literal["only in a", "only in b", "changed"]

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Absent:
    """No value: JSON's null is one."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which two JSON values differ. A side that has nothing there is `ABSENT`."""

    path: str
    change: Change
    a: Any = ABSENT
    b: Any = ABSENT


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a comparison looks at: a run, summed up.

    `seconds` are those from the run's first record to its end, or to its last record so far.
    """

    run_id: str
    name: str
    status: str
    seconds: float
    config: Mapping[str, Any]
    metrics: Mapping[str, Summary[Any]] = field(default_factory=dict)
    checkpoints: int = 0


@dataclass(frozen=True, slots=True)
class MetricPair:
    """One metric of two runs; `None` for a run that never reported it."""

    name: str
    a: Summary[Any] | None
    b: Summary[Any] | None

    @property
    def same(self) -> bool:
        """Whether it was reported equally often and came to the same figures."""
        return _figures(self.a) == _figures(self.b)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side."""

    a: RunFacts
    b: RunFacts
    config: tuple[Difference, ...]
    metrics: tuple[MetricPair, ...]

    @property
    def same(self) -> bool:
        """Whether they differ in nothing but their ids, names and durations."""
        return (
            not self.config
            and all(pair.same for pair in self.metrics)
            and self.a.status == self.b.status
            and self.a.checkpoints == self.b.checkpoints
        )


def compare(a: RunFacts, b: RunFacts) -> Comparison:
    """Put two runs side by side; the metrics in `a`'s order, then those of `b` alone."""
    names = [*a.metrics, *(name for name in b.metrics if name not in a.metrics)]
    pairs = tuple(MetricPair(name, a.metrics.get(name), b.metrics.get(name)) for name in names)
    return Comparison(a, b, differences(a.config, b.config), pairs)


def differences(a: Any, b: Any) -> tuple[Difference, ...]:
    """Where two JSON values differ, in `a`'s order, then what only `b` has.

    Equal numbers are equal (1 and 1.0), but `true` is no number. Lists are compared by place.
    """
    ours, theirs = leaves(a), leaves(b)
    found = [
        Difference(path, "changed" if path in theirs else "only in a", value, other)
        for path, value in ours.items()
        if not _equal(value, other := theirs.get(path, ABSENT))
    ]
    found += [
        Difference(path, "only in b", ABSENT, value)
        for path, value in theirs.items()
        if path not in ours
    ]
    return tuple(found)


def leaves(value: Any) -> dict[str, Any]:
    """The scalars of a JSON value by their paths, in order: `lora.r`, `tags[0]`.

    An empty object or list within it is a leaf itself. A key that is no plain word is written as JSON,
    so two places never share a path. The path of a scalar alone is empty.
    """
    found: dict[str, Any] = {}
    # Not recursive: whoever wrote the value may have nested it as deep as they liked.
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, Mapping) and item:
            stack.extend(reversed([((*path, str(key)), each) for key, each in item.items()]))
        elif isinstance(item, list | tuple) and item:
            stack.extend(reversed([((*path, place), each) for place, each in enumerate(item)]))
        elif path or not isinstance(item, Mapping | list | tuple):
            found[_spelled(path)] = item
    return found


def _spelled(path: Path) -> str:
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part and part.replace("_", "a").replace("-", "a").isalnum():
            parts.append(f".{part}")
        else:
            parts.append(f"[{json.dumps(part, ensure_ascii=False)}]")
    return "".join(parts).removeprefix(".")


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def _figures(summary: Summary[Any] | None) -> tuple[object, ...] | None:
    if summary is None:
        return None
    points = (summary.first, summary.last, summary.least, summary.greatest)
    return (summary.count, summary.gaps, *(point.y for point in points))
