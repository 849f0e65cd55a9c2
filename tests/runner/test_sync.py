"""Blocking calls: in a script, in a thread, and where a loop is running already."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arkor.runner.engine import on_engine
from arkor.runner.sync import run_blocking

ROOT = Path(__file__).parents[2]


async def work() -> str:
    async def there() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    return await on_engine(there())


async def fail() -> None:
    raise LookupError("inside")


def test_in_a_script() -> None:
    assert run_blocking(work) == "arkor"


def test_in_a_thread() -> None:
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(run_blocking(work)))
    thread.start()
    thread.join(10)
    assert results == ["arkor"]


def test_where_a_loop_is_running() -> None:
    async def cell() -> tuple[str, str]:
        return run_blocking(work), await work()

    assert asyncio.run(cell()) == ("arkor", "arkor")


def test_what_is_raised_comes_through_in_all_of_them() -> None:
    async def cell() -> None:
        run_blocking(fail)

    with pytest.raises(LookupError, match="inside"):
        run_blocking(fail)
    with pytest.raises(LookupError, match="inside"):
        asyncio.run(cell())


def test_no_thread_is_left_behind() -> None:
    async def cell() -> None:
        run_blocking(work)

    asyncio.run(cell())
    assert "arkor-blocking" not in {thread.name for thread in threading.enumerate()}


SCRIPT = """
import asyncio
import signal
from arkor.runner.sync import run_blocking

# A shell starts what it puts into the background deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def forever():
    try:
        print("waiting", flush=True)
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

try:
    run_blocking(forever)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_in_a_script_cancels_what_it_waits_for() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        os.kill(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert rest == "cleaned up\ninterrupted\n"
