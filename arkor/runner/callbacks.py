"""Callback sets: what a user gives, and the named consumers it becomes."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from arkor.core.calls import CALLBACKS
from arkor.errors import ConfigError
from arkor.runner.contexts import (
    CancelledContext,
    CheckpointContext,
    CompletedContext,
    Context,
    EventContext,
    FailedContext,
    LogContext,
    StartedContext,
)

__all__ = ["BoundCallbacks", "CallbackSet", "TrainerCallbacks", "bind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerCallbacks:
    """Functions to call as a run goes on, each with one context; plain or `async`.

    `name` is the consumer whose progress the journal keeps: give one where a trainer has
    several sets. With `replays`, a restarted process is given every record again, with
    `ctx.replaying` true for those that were finished.
    """

    on_started: Callable[[StartedContext], Any] | None = None
    on_log: Callable[[LogContext], Any] | None = None
    on_checkpoint: Callable[[CheckpointContext], Any] | None = None
    on_completed: Callable[[CompletedContext], Any] | None = None
    on_failed: Callable[[FailedContext], Any] | None = None
    on_cancelled: Callable[[CancelledContext], Any] | None = None
    on_event: Callable[[EventContext], Any] | None = None
    name: str | None = None
    replays: bool = False


class _OnStarted(Protocol):
    def on_started(self, ctx: StartedContext, /) -> Any: ...


class _OnLog(Protocol):
    def on_log(self, ctx: LogContext, /) -> Any: ...


class _OnCheckpoint(Protocol):
    def on_checkpoint(self, ctx: CheckpointContext, /) -> Any: ...


class _OnCompleted(Protocol):
    def on_completed(self, ctx: CompletedContext, /) -> Any: ...


class _OnFailed(Protocol):
    def on_failed(self, ctx: FailedContext, /) -> Any: ...


class _OnCancelled(Protocol):
    def on_cancelled(self, ctx: CancelledContext, /) -> Any: ...


class _OnEvent(Protocol):
    def on_event(self, ctx: EventContext, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class BoundCallbacks:
    """One consumer: a name that is unique in its trainer, and the functions it has.

    `origin` is the class of the object that it was made of.
    """

    name: str
    replays: bool = False
    functions: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    origin: type | None = None

    async def call(self, callback: str, context: Context) -> None:
        """Call one function and wait for it. Whatever it raises passes through unchanged."""
        result = self.functions[callback](context)
        if inspect.isawaitable(result):
            await result


CallbackSet = (
    TrainerCallbacks
    | BoundCallbacks
    | Mapping[str, Any]
    | _OnStarted
    | _OnLog
    | _OnCheckpoint
    | _OnCompleted
    | _OnFailed
    | _OnCancelled
    | _OnEvent
)
"""A `TrainerCallbacks`, a dict of callbacks by name, or any object with at least one of them."""


def bind(callbacks: CallbackSet | Sequence[CallbackSet] | None) -> tuple[BoundCallbacks, ...]:
    """Name each callback set. Raises `ConfigError` for a set without callbacks or a name twice."""
    several = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    given = [item for item in several if item is not None]
    bound = tuple(_bind(item, alone=len(given) == 1) for item in given)
    names = [item.name for item in bound]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two callback sets are called {name!r}; give each a `name`", field="callbacks"
            )
    # A run without callbacks still has one consumer, so that it has somebody to settle it.
    return bound or (BoundCallbacks("main"),)


def _bind(item: object, *, alone: bool) -> BoundCallbacks:
    if isinstance(item, BoundCallbacks):
        return item
    if isinstance(item, type):
        raise ConfigError(
            f"callbacks must be an object, not the class {item.__qualname__}; "
            f"give {item.__name__}()",
            field="callbacks",
        )
    given = item if isinstance(item, Mapping) else None
    if given is not None:
        _check_keys(given)
    read = given.get if given is not None else lambda key, default=None: getattr(item, key, default)
    functions = {key: function for key in CALLBACKS if (function := read(key)) is not None}
    for key, function in functions.items():
        if not callable(function):
            raise ConfigError(f"callbacks.{key} must be callable", field=f"callbacks.{key}")
    if not functions and not isinstance(item, Mapping | TrainerCallbacks):
        raise ConfigError(
            f"{type(item).__qualname__} has none of {', '.join(CALLBACKS)}", field="callbacks"
        )
    name = read("name") or ("main" if alone else type(item).__qualname__)
    if not isinstance(name, str):
        raise ConfigError("a callback set's `name` must be a text", field="callbacks.name")
    origin = None if isinstance(item, Mapping) else type(item)
    return BoundCallbacks(name, bool(read("replays", False)), functions, origin)


def _check_keys(given: Mapping[str, Any]) -> None:
    known = (*CALLBACKS, "name", "replays")
    for key in given:
        if key not in known:
            raise ConfigError(
                f"callbacks.{key} is not a callback; there are {', '.join(known)}",
                field=f"callbacks.{key}",
            )
