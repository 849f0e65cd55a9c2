"""The one thread on which Arkor records.

Reading streams, renewing leases and writing the journal happen on a loop of this thread, so a
callback that blocks the caller's loop, or has none, stops none of them. A forked child gets a
thread of its own.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

__all__ = ["iterate", "on_engine", "starting", "submit"]

T = TypeVar("T")

STARTS_AT_ONCE: Final = 16
"""Runs that are submitted at the same time. Each writes to the disk and asks the backend several
times; of hundreds at once most would wait for their turn until their connections time out."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_starts = asyncio.Semaphore(STARTS_AT_ONCE)


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Start `coroutine` on Arkor's thread; its result, or failure, is in the future."""
    return asyncio.run_coroutine_threadsafe(coroutine, _engine())


async def on_engine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on Arkor's thread and wait for it here. Cancelling this cancels that."""
    return await asyncio.wrap_future(submit(coroutine))


@asynccontextmanager
async def starting() -> AsyncIterator[None]:
    """Take one's turn to submit a run. On Arkor's thread."""
    async with _starts:
        yield


async def iterate(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Iterate here over what `items` yields on Arkor's thread."""
    end = object()
    turn = asyncio.Lock()  # a step that was cancelled may still be cleaning up after itself

    async def step() -> T | object:
        async with turn:
            return await anext(items, end)

    async def close() -> None:
        async with turn:
            await items.aclose()

    try:
        while (item := await on_engine(step())) is not end:
            yield item  # type: ignore[misc]
    finally:
        await on_engine(close())


def _engine() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="arkor", daemon=True).start()
        return _loop


def _forget() -> None:
    global _lock, _loop, _starts
    # The child of a fork has neither the thread nor whoever held the lock, or had a turn.
    _lock, _loop = threading.Lock(), None
    _starts = asyncio.Semaphore(STARTS_AT_ONCE)


os.register_at_fork(after_in_child=_forget)
