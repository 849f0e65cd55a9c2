"""The calls that a replay made: a million of them take a few megabytes."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

__all__ = ["ReplayedCall", "ReplayedCalls"]


@dataclass(frozen=True, slots=True)
class ReplayedCall:
    """One call that the replay made, and the steps it took, in order."""

    seq: int
    consumer: str
    callback: str
    steps: tuple[str, ...] = ()


class ReplayedCalls(Sequence[ReplayedCall]):
    """Calls in order. Each is a pair of numbers, and few took a step."""

    def __init__(self) -> None:
        self._seqs = array("q")
        self._kinds = array("l")
        self._known: dict[tuple[str, str], int] = {}
        self._steps: dict[int, tuple[str, ...]] = {}

    def append(self, call: ReplayedCall) -> None:
        """Add the next call."""
        if call.steps:
            self._steps[len(self._seqs)] = call.steps
        self._seqs.append(call.seq)
        self._kinds.append(self._known.setdefault((call.consumer, call.callback), len(self._known)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __len__(self) -> int:
        return len(self._seqs)

    @overload
    def __getitem__(self, place: int) -> ReplayedCall: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ReplayedCall, ...]: ...
    def __getitem__(self, place: int | slice) -> ReplayedCall | tuple[ReplayedCall, ...]:
        places = range(len(self))[place]
        if isinstance(places, range):
            return tuple(map(self._at, places))
        return self._at(places)

    def _at(self, place: int) -> ReplayedCall:
        consumer, callback = list(self._known)[self._kinds[place]]
        steps = self._steps.get(place, ())
        return ReplayedCall(self._seqs[place], consumer, callback, steps)
