"""Side effects of a call that happen once: taken, recorded, and recalled ever after.

Live, a step is recalled if the log holds it, else taken and recorded. In a call that was finished
and is made again, to rebuild state or in an offline replay, a step is only recalled, and one that
the log does not hold is a divergence.
"""

import asyncio
import inspect
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from arkor.core.notes import StepCompleted
from arkor.core.steps import CallId, Step, StepKind, digest_arguments
from arkor.errors import ConfigError, NonDeterminismError
from arkor.runner.failures import error_of, exception_of

__all__ = ["Call", "Divergence", "Recorder"]

Recorder = Callable[[StepCompleted], Awaitable[Any]]
"""Makes a step durable; gives its result as the log holds it."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A call that did something else than the log says. `None` stands for no step."""

    seq: int
    consumer: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        expected, actual = self.expected or "no further step", self.actual or "no further step"
        return f"record {self.seq}, {self.consumer}: expected {expected}, got {actual}"


class Call:
    """One call of one callback, and the steps it takes.

    `recorded` are those that the log holds of it. Without a `recorder` they are all there is;
    with `strict` they are then also all that must be taken, in their order.
    """

    def __init__(
        self,
        run_id: str,
        id: CallId,
        recorded: Sequence[Step] = (),
        recorder: Recorder | None = None,
        *,
        strict: bool = False,
    ) -> None:
        self.run_id = run_id
        self.id = id
        self.divergences: list[Divergence] = []
        self.taken: list[Step] = []
        self.recorded = list(recorded)
        self._recorder = recorder
        self._strict = strict
        self._counts: dict[StepKind, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._streams: list[AsyncGenerator[str, None]] = []
        self._partial: list[tuple[Step, int, list[str]]] = []
        self._failed: list[tuple[Step, int, Mapping[str, Any]]] = []
        self._retried: set[Step] = set()

    @cached_property
    def random(self) -> random.Random:
        """Random numbers that are the same whenever, and wherever, the call is made."""
        return random.Random(self.idempotency_key("random"))  # noqa: S311

    def idempotency_key(self, key: str) -> str:
        """Name an effect for its other side: the same in every attempt of this call, and no other."""
        seq, consumer, callback = self.id
        return f"{self.run_id}:{seq}:{consumer}:{callback}:{key}"

    async def once(
        self, key: str, function: Callable[..., Any], /, *given: Any, **named: Any
    ) -> Any:
        """The result of `function(*given, **named)`, which is called unless it is on record."""

        async def run() -> Any:
            result = function(*given, **named)
            return await result if inspect.isawaitable(result) else result

        step = Step("once", key, digest_arguments(*given, **named))
        async with self._turns.setdefault(key, asyncio.Lock()):
            return await self.take(step, run)

    async def take(self, step: Step, run: Callable[[], Awaitable[Any]]) -> Any:
        """The recorded result of `step`, else that of `run`, which is recorded."""
        place, found = self._recall(step)
        if found is not None:
            return found.result
        try:
            result = await run()
        except Exception as error:
            self._fail(step, place, error)
            raise
        return await self._record(step, place, result)

    async def stream(
        self, step: Step, run: Callable[[], AsyncGenerator[str, None]]
    ) -> AsyncGenerator[str, None]:
        """The same for a result that comes in pieces; as many are recorded as were looked at."""
        place, found = self._recall(step)
        if found is not None:
            for piece in found.result:
                yield piece
            return
        pieces: list[str] = []
        source = run()
        try:
            async for piece in source:
                pieces.append(piece)
                yield piece
        except GeneratorExit:
            await source.aclose()
            # Whether this much was enough is known only when the callback has returned.
            self._partial.append((step, place, pieces))
            raise
        except Exception as error:
            self._fail(step, place, error)
            raise
        await self._record(step, place, pieces)

    def numbered(self, kind: StepKind, *arguments: Any) -> Step:
        """Name a step that the user gave no key: by its number among its kind."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return Step(kind, f"{kind}:{self._counts[kind]}", digest_arguments(*arguments))

    def opened(self, stream: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """Close `stream` when the call ends, should the callback have left it open."""
        self._streams.append(stream)
        return stream

    async def finish(self) -> None:
        """The callback returned: record what it left early, and what failed without ending it.

        In a strict replay, raise if it left out a step.
        """
        await self._close_streams()
        for step, place, pieces in self._partial:
            await self._record(step, place, pieces)
        for step, place, error in self._failed:
            await self._record(step, place, None, error)
        if self._strict and not self.divergences and len(self.taken) < len(self.recorded):
            raise self._diverge(self.recorded[len(self.taken)], None)

    async def abandon(self) -> None:
        """The callback raised: what it left in the middle is nobody's answer."""
        await self._close_streams()

    async def _close_streams(self) -> None:
        for stream in self._streams:
            await stream.aclose()

    def _recall(self, step: Step) -> tuple[int, Step | None]:
        """The step's place, and what the log holds of it; what failed then fails again."""
        place = self._place(step)
        found = self._expected(step, place) if self._strict else self._held(step)
        if found is not None and found.error is not None:
            self._retried.add(step)
            raise exception_of(found.error)
        return place, found

    def _place(self, step: Step) -> int:
        """Its number among the steps; one that is asked for again by its own key keeps it."""
        if step.kind == "once" and step in self.taken and step not in self._retried:
            return len(self.taken) - self.taken[::-1].index(step)
        self._retried.discard(step)
        self.taken.append(step)
        return len(self.taken)

    def _expected(self, step: Step, place: int) -> Step:
        expected = self.recorded[place - 1] if place <= len(self.recorded) else None
        if expected != step:
            raise self._diverge(expected, step)
        assert expected is not None
        return expected

    def _held(self, step: Step) -> Step | None:
        found = next((each for each in self.recorded if _means(each, step)), None)
        if found is None and self._recorder is None:
            if step.kind == "cancel":
                # A stop that is wanted now, but was not then, is asked for by the next live call.
                return step
            raise self._diverge(None, step)
        return found

    def _fail(self, step: Step, place: int, error: Exception) -> None:
        # It is recorded if the callback goes on; if not, the whole call is made again.
        self._failed.append((step, place, error_of(error)))
        self._retried.add(step)

    async def _record(
        self, step: Step, place: int, result: Any, error: Mapping[str, Any] | None = None
    ) -> Any:
        assert self._recorder is not None
        seq, consumer, callback = self.id
        _check(step, result)
        note = StepCompleted(
            consumer, seq, callback, step.kind, step.key, step.arguments, result, place, error
        )
        kept = await self._recorder(note)
        self.recorded.append(Step(step.kind, step.key, step.arguments, kept, error))
        return kept

    def _diverge(self, expected: Step | None, actual: Step | None) -> NonDeterminismError:
        seq, consumer, _ = self.id
        divergence = Divergence(
            seq, consumer, str(expected) if expected else None, str(actual) if actual else None
        )
        self.divergences.append(divergence)
        return NonDeterminismError(
            f"the callback does not do what run {self.run_id} recorded: {divergence}",
            seq=seq,
            consumer=consumer,
            expected=divergence.expected,
            actual=divergence.actual,
        )


def _means(recorded: Step, step: Step) -> bool:
    """Whether a live call means the recorded step: by its own key, else by what it was given."""
    if step.kind == "once":
        return recorded.kind == "once" and recorded.key == step.key
    return recorded == step


def _check(step: Step, result: Any) -> None:
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the result of {step.kind} {step.key!r} must be something JSON can carry: {error}; "
            "its effect has happened, and happens again in the next attempt"
        ) from error
