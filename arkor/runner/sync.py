"""The one door from blocking code to coroutines: in a script, a thread, or a notebook."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["run_blocking"]

T = TypeVar("T")


def run_blocking(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that `make` builds, and return what it returns.

    Inside a running event loop (a notebook) it runs on a loop of another thread while this one
    waits; elsewhere, on a loop here, where Ctrl-C cancels it as usual.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    inner = _Inner(make)
    inner.start()
    try:
        inner.join()
    except BaseException:
        # Ctrl-C in a notebook: end the coroutine as it would be ended here.
        inner.cancel()
        inner.join()
        raise
    return inner.outcome.result()


class _Inner(threading.Thread, Generic[T]):
    """A coroutine on a loop of its own thread, which whoever waits for it may cancel."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__(name="arkor-blocking")
        self.outcome: Future[T] = Future()
        self._make = make
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def run(self) -> None:
        """Run the coroutine; what it returns or raises is in `outcome`."""
        try:
            self.outcome.set_result(asyncio.run(self._main()))
        except BaseException as error:  # the waiting thread raises it, whatever it is
            self.outcome.set_exception(error)

    def cancel(self) -> None:
        """Cancel the coroutine, from another thread."""
        if self._running is not None:
            loop, task = self._running
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)

    async def _main(self) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._running = asyncio.get_running_loop(), task
        return await self._make()
