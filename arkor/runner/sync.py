"""The one door from blocking code to coroutines: in a script, a thread, or a notebook."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

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
    future: Future[T] = Future()
    thread = threading.Thread(target=_settle, args=(make, future), name="arkor-blocking")
    thread.start()
    thread.join()
    return future.result()


def _settle(make: Callable[[], Coroutine[Any, Any, T]], future: Future[T]) -> None:
    try:
        future.set_result(asyncio.run(make()))
    except BaseException as error:  # the waiting thread raises it, whatever it is
        future.set_exception(error)
