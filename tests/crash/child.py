"""A run in a process of its own, to be killed.

`python child.py '{"url": ..., "told": FILE, ...}'`. It tells what happens in lines of JSON, each
written to FILE by one system call before anything else is done, so that no kill takes it back;
and a dot for each call on stdout, by which the parent keeps pace.

`how` is the way it gets its run: `start`, or `attach` and `resume` with an `id`; `key` is a run
key. A `patient` one waits while another process owns the run.

`point` kills it at a place in the code: `call:F` or `return:F`, with F a function's qualified
name, at the `nth` time that `when`, an expression of the function's variables, is true. Nothing
of Arkor is changed: a profile function watches it go by. `stop_at` stops (SIGSTOP) the process in
the call for the event of that id.
"""

import asyncio
import dis
import hashlib
import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from arkor import (
    AnonymousCredentials,
    ArkorError,
    RunOwnedError,
    Trainer,
    TrainerOptions,
    attach,
    create_trainer,
)
from arkor.runner.takeover import resume_run

RETURNS = ("RETURN_VALUE", "RETURN_CONST")


class Telling:
    """Lines of JSON into a file that other processes write to as well."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, **line: Any) -> None:
        os.write(self._file, json.dumps({"pid": os.getpid(), **line}).encode() + b"\n")


def die_at(point: str, nth: int = 1, when: str = "True") -> None:
    """Kill this process at the `nth` passing of a point."""
    event_name, _, function = point.partition(":")
    passed = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal passed
        if event != event_name or frame.f_code.co_qualname != function:
            return
        if event == "return" and not _returns(frame):
            return  # a coroutine that only waits
        if eval(when, frame.f_globals, frame.f_locals):
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def _returns(frame: FrameType) -> bool:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] in RETURNS


class Consumer:
    """A callback set that tells of each call, and of each effect."""

    name = ""

    def __init__(self, tell: Telling, stop_at: str | None) -> None:
        self._tell = tell
        self._stop_at = stop_at

    def note(self, callback: str, ctx: Any, **more: Any) -> None:
        call = {"consumer": self.name, "callback": callback, "event": ctx.event.id}
        self._tell(call=call, attempt=ctx.attempt, **more)
        os.write(1, b".")
        if self._stop_at == ctx.event.id:
            os.kill(os.getpid(), signal.SIGSTOP)

    def effect(self, step: int, *, key: str) -> dict[str, Any]:
        self._tell(effect=key)
        return {"step": step}

    async def upload(self, ctx: Any) -> None:
        key = ctx.idempotency_key("upload")
        assert await ctx.once("upload", self.effect, ctx.step, key=key) == {"step": ctx.step}


class Plain(Consumer):
    name = "plain"

    def on_log(self, ctx: Any) -> None:
        self.note("on_log", ctx)

    async def on_checkpoint(self, ctx: Any) -> None:
        self.note("on_checkpoint", ctx)
        await self.upload(ctx)

    def on_completed(self, ctx: Any) -> None:
        self.note("on_completed", ctx)


class Coroutines(Consumer):
    name = "coroutines"

    async def on_log(self, ctx: Any) -> None:
        await asyncio.sleep(0)
        self.note("on_log", ctx)

    async def on_checkpoint(self, ctx: Any) -> None:
        await self.upload(ctx)
        self.note("on_checkpoint", ctx)


class Stateful(Consumer):
    """Its state is a digest over everything it was given, rebuilt from the log."""

    name = "stateful"
    replays = True

    def __init__(self, tell: Telling, stop_at: str | None) -> None:
        super().__init__(tell, stop_at)
        self._seen = hashlib.sha256()

    def see(self, callback: str, ctx: Any) -> None:
        self._seen.update(ctx.event.text.encode())
        if not ctx.replaying:
            self.note(callback, ctx, state=self._seen.hexdigest())

    def on_log(self, ctx: Any) -> None:
        self.see("on_log", ctx)

    async def on_checkpoint(self, ctx: Any) -> None:
        await self.upload(ctx)
        self.see("on_checkpoint", ctx)

    def on_completed(self, ctx: Any) -> None:
        self.see("on_completed", ctx)


async def begin(given: dict[str, Any], tell: Telling) -> Trainer:
    """A trainer that owns its run."""
    stop_at = given.get("stop_at")
    callbacks = [Plain(tell, stop_at), Coroutines(tell, None), Stateful(tell, None)]
    options = TrainerOptions(
        base_url=given["url"],
        credentials=AnonymousCredentials(
            token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
        ),
        reconnect_delay=0.02,
    )
    match given.get("how", "start"):
        case "attach":
            return await attach(given["id"], callbacks=callbacks, options=options)
        case "resume":
            return await resume_run(given["id"], callbacks=callbacks, options=options)
    trainer = create_trainer(
        name="crash",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=callbacks,
        run_key=given.get("key"),
        options=options,
    )
    await trainer.start()
    return trainer


async def run(given: dict[str, Any], tell: Telling) -> str:
    while True:
        try:
            trainer = await begin(given, tell)
        except RunOwnedError:
            if not given.get("patient"):
                raise
            time.sleep(0.05)
            continue
        tell(owner=trainer._submission.run.epoch, run=trainer.run_id, job=trainer.job_id)
        return (await trainer.wait()).status


def main(given: dict[str, Any]) -> None:
    if "point" in given:
        die_at(*given["point"])
    tell = Telling(given["told"])
    try:
        status = asyncio.run(run(given, tell))
        tell(ended=status)
    except ArkorError as error:
        tell(error=type(error).__name__, said=str(error))
        sys.exit(4)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
