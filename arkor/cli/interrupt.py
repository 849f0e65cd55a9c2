"""Ctrl-C and SIGTERM while a run is followed: they end the waiting, and never the run."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeVar

__all__ = ["Interrupted", "run_interruptibly"]

T = TypeVar("T")

GRACE: Final = 3.5
"""Seconds a callback may go on after the first signal."""

PATIENCE: Final = 0.7
"""Seconds after which the person at the terminal is told what is waited for."""

WAITING: Final = "\r\nwaiting for a callback to finish; Ctrl-C again quits at once\r\n"


class Interrupted(BaseException):
    """A signal ended the waiting; `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def run_interruptibly(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end, or raise `Interrupted` at Ctrl-C or SIGTERM.

    The first signal cancels it and lets it clean up; the second one, or a callback that blocks
    for longer than `GRACE`, cuts that short. Before that it is said what is waited for.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(coroutine)
        received: list[int] = []

        def on_signal(signum: int, frame: FrameType | None) -> None:
            received.append(signum)
            if received == [signum]:
                signal.setitimer(signal.ITIMER_REAL, PATIENCE)
                loop.call_soon_threadsafe(task.cancel)
            elif len(received) == 2 and signum == signal.SIGALRM:
                # Not through `sys.stderr`, which may be in the middle of a line of its own.
                os.write(2, WAITING.encode())
                signal.setitimer(signal.ITIMER_REAL, GRACE - PATIENCE)
            else:
                raise Interrupted(received[0])

        with _handlers(on_signal):
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                if received:
                    raise Interrupted(received[0]) from None
                raise


@contextmanager
def _handlers(handler: Any) -> Iterator[None]:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [(each, signal.signal(each, handler)) for each in signals]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each, earlier in before:
            signal.signal(each, earlier)
