"""The beginning and the end of a list that may be of any length."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Excerpt"]

T = TypeVar("T")


class Excerpt(Generic[T]):
    """Counts what it is given, and keeps the first `first` and the last `last` of it."""

    __slots__ = ("_first", "_head", "_tail", "total")

    def __init__(self, first: int, last: int) -> None:
        self.total = 0
        self._first = first
        self._head: list[T] = []
        self._tail: deque[T] = deque(maxlen=last)

    def add(self, item: T) -> None:
        """One more, behind the others."""
        self.total += 1
        if len(self._head) < self._first:
            self._head.append(item)
        else:
            self._tail.append(item)

    @property
    def head(self) -> tuple[T, ...]:
        """The first ones."""
        return tuple(self._head)

    @property
    def tail(self) -> tuple[T, ...]:
        """The last ones, without those that are among the first."""
        return tuple(self._tail)

    @property
    def left_out(self) -> int:
        """How many stood between `head` and `tail` and are not kept."""
        return self.total - len(self._head) - len(self._tail)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._head) + len(self._tail)

    def __iter__(self) -> Iterator[T]:
        yield from self._head
        yield from self._tail
