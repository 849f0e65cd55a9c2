"""Arkor's own thread: one per process, also of a forked child; cancellation reaches it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from arkor.runner.engine import iterate, on_engine, submit


async def thread() -> int:
    return threading.get_ident()


def test_everything_runs_on_one_thread_that_is_not_the_callers() -> None:
    async def main() -> set[int]:
        return {await on_engine(thread()), await on_engine(on_engine(thread()))}

    threads = asyncio.run(main()) | asyncio.run(main()) | {submit(thread()).result(10)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_is_raised_there_is_raised_here() -> None:
    async def fail() -> None:
        raise LookupError("there")

    with pytest.raises(LookupError, match="there"):
        asyncio.run(on_engine(fail()))


def test_it_runs_on_while_the_callers_loop_is_blocked() -> None:
    done = threading.Event()

    async def there() -> None:
        await asyncio.sleep(0)
        done.set()

    async def main() -> bool:
        task = asyncio.ensure_future(on_engine(there()))
        await asyncio.sleep(0)
        blocked = done.wait(10)
        await task
        return blocked

    assert asyncio.run(main())


def test_cancelling_here_cancels_there() -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def there() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def main() -> None:
        task = asyncio.ensure_future(on_engine(there()))
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert cancelled.wait(10)


class Source:
    """Yields numbers on Arkor's thread; closing it takes a while, as closing a stream does."""

    def __init__(self, last: int = 10**9) -> None:
        self.last = last
        self.threads: set[int] = set()
        self.waiting = threading.Event()
        self.closed = threading.Event()

    async def numbers(self, stop_at: int | None = None) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.last):
                self.threads.add(threading.get_ident())
                if number == stop_at:
                    self.waiting.set()
                    await asyncio.Event().wait()
                yield number
        finally:
            await asyncio.sleep(0.02)
            self.threads.add(threading.get_ident())
            self.closed.set()


def test_iterating_yields_here_what_is_made_there() -> None:
    source = Source(3)

    async def main() -> list[int]:
        return [number async for number in iterate(source.numbers())]

    assert asyncio.run(main()) == [0, 1, 2]
    assert source.threads == {submit(thread()).result(10)}


def test_leaving_early_closes_it_there() -> None:
    source = Source()

    async def main() -> None:
        async with aclosing(iterate(source.numbers())) as numbers:
            async for number in numbers:
                if number == 2:
                    break
        assert source.closed.is_set()

    asyncio.run(main())
    assert source.threads == {submit(thread()).result(10)}


def test_cancelling_in_the_middle_of_a_step_closes_it_there() -> None:
    source = Source()

    async def consume() -> None:
        async with aclosing(iterate(source.numbers(stop_at=2))) as numbers:
            async for _ in numbers:
                pass

    async def main() -> None:
        task = asyncio.ensure_future(consume())
        await asyncio.to_thread(source.waiting.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert source.closed.is_set()
    assert source.threads == {submit(thread()).result(10)}


def test_what_a_generator_raises_comes_through() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("there")

    async def main() -> None:
        seen = []
        with pytest.raises(LookupError, match="there"):
            async for number in iterate(failing()):
                seen.append(number)
        assert seen == [1]

    asyncio.run(main())


FORK = """
import asyncio, os, sys, threading
from arkor.runner.engine import submit

async def me():
    return os.getpid(), threading.get_ident()

assert submit(me()).result(10)[0] == os.getpid()
child = os.fork()
if child == 0:
    there = submit(me()).result(10)
    mine = there[0] == os.getpid() and there[1] != threading.get_ident()
    os._exit(0 if mine else 1)
assert submit(me()).result(10)[0] == os.getpid()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_has_a_thread_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.returncode == 0
