"""What a callback is told: one frozen context for each kind of event."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from arkor.core.events import (
    CheckpointSaved,
    Event,
    TrainingLog,
)
from arkor.core.record import Record
from arkor.core.state import RunState
from arkor.core.wire import Adapter, Job
from arkor.runner.effects import Call
from arkor.runner.infer import Infer
from arkor.runner.session import Session

__all__ = [
    "CancelledContext",
    "CheckpointContext",
    "CompletedContext",
    "Context",
    "EventContext",
    "FailedContext",
    "LogContext",
    "RecordedEvent",
    "StartedContext",
    "context_for",
]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """The record a callback is called for: its place in the log and what the log holds.

    `data` is the JSON object that came, `text` the same verbatim; `id` is the event's own id.
    """

    seq: int
    id: str | None
    type: str
    data: Mapping[str, Any]
    text: str
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every callback is told.

    `job` is the job as the log knew it at this record, `now` the record's time (UTC), not the
    clock. `attempt` counts from 1; above 1 the call may be a repeat. `replaying` says that the
    call was finished before, and is made again to rebuild state.
    """

    job: Job
    event: RecordedEvent
    now: datetime
    attempt: int
    replaying: bool
    _call: Call = field(repr=False, compare=False)
    _cancel: Callable[[str | None], Awaitable[None]] = field(repr=False, compare=False)

    @property
    def random(self) -> Random:
        """Random numbers that are the same in every attempt and replay of this call."""
        return self._call.random

    def idempotency_key(self, key: str) -> str:
        """Name an effect for its other side: the same in every attempt of this call."""
        return self._call.idempotency_key(key)

    async def once(self, key: str, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
        """Run `fn(*args, **kw)`, plain or async, once for this record, and recall its result.

        The result must be something JSON can carry; it is durable before this returns, and any
        later attempt or replay gets it without running `fn`. `key` names the effect within this
        call. If the process dies between the effect and its record, `fn` runs again: give the
        other side `idempotency_key(key)`, so that it can tell.
        """
        return await self._call.once(key, fn, *args, **kw)

    async def request_cancel(self, reason: str | None = None) -> bool:
        """Ask the backend to stop the run, once; `wait()` goes on to the result `cancelled`.

        A run that has ended meanwhile is left as it is. False if nobody was asked: this call
        only rebuilds state, and did not ask when it was made first.
        """

        async def cancel() -> None:
            await self._cancel(reason)

        step = self._call.numbered("cancel", reason)
        await self._call.take(step, cancel)
        return step in self._call.recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedContext(Context):
    """The backend began to train; `job.status` is `running`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogContext(Context):
    """Figures after a step; one that was not reported is `None`."""

    step: int
    loss: float | None
    eval_loss: float | None
    learning_rate: float | None
    epoch: float | None
    samples_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContext(Context):
    """A checkpoint was saved; `infer` asks its `adapter`."""

    step: int
    adapter: Adapter
    artifacts: tuple[Any, ...]
    infer: Infer


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedContext(Context):
    """The run completed; `artifacts` are the backend's own items."""

    artifacts: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedContext(Context):
    """The run failed; `error` is the backend's own text."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledContext(Context):
    """The run was cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext(Context):
    """Any event of the stream, those of unknown types included."""


def context_for(
    callback: str,
    *,
    record: Record,
    event: Event | None,
    state: RunState,
    attempt: int,
    replaying: bool,
    call: Call,
    session: Session | None,
    cancel: Callable[[str | None], Awaitable[None]],
) -> Context:
    """The context of one call. `state` is that after `record`, `event` the record's event.

    An offline replay has no `session`.
    """
    if state.job is None:
        raise ValueError(f"record {record.seq} comes before the run has a job")
    common: dict[str, Any] = {
        "job": state.job,
        "event": _recorded(record),
        "now": datetime.fromisoformat(record.recorded_at),
        "attempt": attempt,
        "replaying": replaying,
        "_call": call,
        "_cancel": cancel,
    }
    match callback, event:
        case "on_log", TrainingLog():
            return LogContext(
                **common,
                step=event.step,
                loss=event.loss,
                eval_loss=event.eval_loss,
                learning_rate=event.learning_rate,
                epoch=event.epoch,
                samples_per_second=event.samples_per_second,
            )
        case "on_checkpoint", CheckpointSaved(step, artifacts):
            adapter = Adapter("checkpoint", state.job.id, step)
            return CheckpointContext(
                **common,
                step=step,
                adapter=adapter,
                artifacts=artifacts,
                infer=Infer(adapter, call, session),
            )
        case "on_completed", _:
            return CompletedContext(**common, artifacts=state.artifacts)
        case "on_failed", _:
            return FailedContext(**common, error=state.job.error or "no error message")
    return _PLAIN[callback](**common)


_PLAIN: Mapping[str, type[Context]] = {
    "on_started": StartedContext,
    "on_cancelled": CancelledContext,
    "on_event": EventContext,
}


def _recorded(record: Record) -> RecordedEvent:
    payload = json.loads(record.data) if record.type != "end" else {}
    return RecordedEvent(
        seq=record.seq,
        id=record.sse_id,
        type=record.type,
        data=payload if isinstance(payload, dict) else {},
        text=record.data,
        recorded_at=record.recorded_at,
    )
