"""What is cancelled, interrupted, aborted or forked in the middle leaves one run that goes on."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, QUESTION, STARTED, child, log, trainer

from arkor.errors import AbortError, ConfigError
from arkor.runner.abort import AbortController
from arkor.runner.callbacks import TrainerCallbacks
from arkor.runner.trainer import Trainer
from arkor.store.journal import open_journal
from arkor.testing import Answer, ScriptedBackend, Until, answer_json

pytestmark = pytest.mark.usefixtures("project")


def stream_ids(run: Trainer) -> list[str]:
    assert run.run_id
    records = open_journal().records(run.run_id)
    return [each.sse_id for each in records if each.source == "stream" and each.sse_id]


def test_a_wait_that_is_cancelled_anywhere_leaves_nobody_recording() -> None:
    held = threading.Event()
    events = [STARTED, *(log(n) for n in range(1, 9)), Until(held), log(9), COMPLETED]
    with ScriptedBackend(events) as backend:
        run = trainer(backend)

        async def main() -> None:
            await run.start()
            for turns in range(40):
                task = asyncio.create_task(run.wait())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            held.set()
            assert (await run.wait()).succeeded

        asyncio.run(main())
    assert stream_ids(run) == [str(number) for number in range(1, 12)]


def test_of_two_waits_the_other_goes_on_when_one_is_cancelled() -> None:
    held, seen = threading.Event(), threading.Event()
    with ScriptedBackend([STARTED, Until(held), COMPLETED]) as backend:
        run = trainer(backend, {"on_started": lambda ctx: seen.set()})

        async def main() -> str:
            first, second = asyncio.create_task(run.wait()), asyncio.create_task(run.wait())
            await asyncio.to_thread(seen.wait)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            held.set()
            return (await second).status

        assert asyncio.run(main()) == "completed"


def test_an_interrupt_in_the_last_callback_is_no_failure_of_it(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        code = "def hook(ctx): sys.exit(3)\ntrainer(on_completed=hook).wait_sync()"
        assert child(backend, project, code).returncode == 3
        attempts: list[int] = []
        run = trainer(backend, {"on_completed": lambda ctx: attempts.append(ctx.attempt)})
        assert run.start_sync().resumed
        assert run.wait_sync().succeeded
        assert len(backend.jobs) == 1
    assert attempts == [2]


def test_the_child_of_a_fork_has_no_run(project: Path) -> None:
    code = """
import os
from arkor import RunOwnedError
run = trainer(on_log=lambda ctx: None)
run.start_sync()
child = os.fork()
if child == 0:
    try:
        run.wait_sync()
    except RunOwnedError:
        os._exit(7)
    os._exit(0)
result = run.wait_sync()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), result.status)
"""
    with ScriptedBackend([STARTED, log(1), log(2), COMPLETED]) as backend:
        ended = child(backend, project, code)
    assert ended.stdout.split() == ["7", "completed"], ended.stderr
    types = [each.type for each in open_journal().records(open_journal().resolve("@last"))]
    assert types.count("training.log") == 2
    assert types.count("arkor.callback.completed") == 3


def test_the_child_of_a_fork_is_refused_also_while_a_thread_of_its_parent_appends(
    project: Path,
) -> None:
    code = """
import asyncio, gc, os, signal, threading
from arkor import RunOwnedError
from arkor.core.notes import Aborted, CallbackCompleted
from arkor.runner.ownership import OwnedRun
run = trainer()
run.start_sync()
(owned,) = (each for each in gc.get_objects() if isinstance(each, OwnedRun))
held, over = threading.Event(), threading.Event()
def append():
    with owned._turn:
        held.set()
        over.wait()
thread = threading.Thread(target=append)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(10)
    for _ in range(8):  # a new thread may have the number of one of the parent's
        threading.Thread(target=over.wait, daemon=True).start()
    refused = 0
    for write in (owned.note(Aborted()), owned.sign(CallbackCompleted("main", 1))):
        try:
            asyncio.run(write)
        except RunOwnedError:
            refused += 1
    os._exit(refused)
over.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with ScriptedBackend([STARTED]) as backend:
        ended = child(backend, project, code)
    assert ended.stdout.split() == ["2"], ended.stderr


def test_an_answer_that_a_failure_cut_short_is_asked_for_again() -> None:
    answers: list[list[str]] = []

    async def on_checkpoint(ctx: Any) -> None:
        pieces: list[str] = []
        async for piece in ctx.infer.stream(QUESTION):
            pieces.append(piece)
            if len(pieces) == 2 and not answers:
                answers.append(pieces)
                raise ValueError("in the middle")
        answers.append(pieces)

    events = [STARTED, {"type": "checkpoint.saved", "step": 1}, COMPLETED]
    with ScriptedBackend(events, chat="one two three four") as backend:
        run = trainer(backend, {"on_checkpoint": on_checkpoint})
        with pytest.raises(ValueError, match="middle"):
            run.wait_sync()
        run.wait_sync()
    assert answers[1] == ["one ", "two ", "three ", "four"]


def test_steps_side_by_side_replay_as_they_were_asked_for() -> None:
    async def slow(name: str, turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return name

    async def on_log(ctx: Any) -> None:
        await asyncio.gather(ctx.once("a", slow, "a", 9), ctx.once("b", slow, "b", 1))
        assert await ctx.once("a", slow, "a", 9) == "a"

    from arkor.runner.replay import replay

    callbacks = TrainerCallbacks(on_log=on_log)
    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        run = trainer(backend, callbacks)
        run.wait_sync()
    report = asyncio.run(replay(run.run_id or "", callbacks))
    assert report.ok


def test_a_cancel_while_the_run_is_being_submitted_reaches_it() -> None:
    with ScriptedBackend([STARTED, Until(threading.Event())], end=False) as backend:
        asked, answer = threading.Event(), threading.Event()

        def slow(request: Any) -> Answer:
            asked.set()
            answer.wait(10)
            return backend.create_job(request)

        backend.on("POST", "/v1/jobs", slow)
        run = trainer(backend)

        async def main() -> str:
            waiting = asyncio.create_task(run.wait())
            await asyncio.to_thread(asked.wait)
            cancelling = asyncio.create_task(run.cancel())
            answer.set()
            await cancelling
            return (await waiting).status

        assert asyncio.run(main()) == "cancelled"


def test_what_is_aborted_before_it_begins_is_not_submitted() -> None:
    controller = AbortController()
    controller.abort("too late")
    with ScriptedBackend([COMPLETED]) as backend:
        with pytest.raises(AbortError, match="too late"):
            trainer(backend, abort_signal=controller.signal).wait_sync()
        assert backend.jobs == {}


def test_a_cancel_from_another_process_ends_a_wait_on_a_backend_that_only_pings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor.runner.ownership.RENEW_EVERY", 0.1)
    pinging = [STARTED, *([b"event: ping\ndata:\n\n"] * 3), Until(threading.Event())]
    code = """
import asyncio
from arkor.runner.takeover import cancel_run
asyncio.run(cancel_run("@last", options=trainer().plan.options))
"""
    with ScriptedBackend(pinging, end=False) as backend:
        cancelled: list[int] = []

        def on_started(ctx: Any) -> None:
            cancelled.append(child(backend, project, code).returncode)

        assert trainer(backend, {"on_started": on_started}).wait_sync().status == "cancelled"
    assert cancelled == [0]


def test_with_options_builds_a_fresh_trainer_of_the_same_checks() -> None:
    seen: list[str] = []
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run = trainer(backend)
        other = run.with_options(
            name="other", callbacks={"on_completed": lambda ctx: seen.append(ctx.job.name)}
        )
        assert other.wait_sync().succeeded
        with pytest.raises(ConfigError, match="resume"):
            run.with_options(resume="bogus")
    assert seen == ["other"]


def test_a_start_that_failed_leaves_the_run_to_whoever_asks(project: Path) -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs", answer_json({"error": "down"}, 503))
        run = trainer(backend)
        with pytest.raises(Exception, match="down"):
            run.start_sync()
        backend.on("POST", "/v1/jobs", backend.create_job)
        code = """
import asyncio
from arkor.runner.takeover import resume_run
async def main():
    run = await resume_run("@last", options=trainer().plan.options)
    print((await run.wait()).status)
asyncio.run(main())
"""
        ended = child(backend, project, code)
        assert ended.stdout.strip() == "completed", ended.stderr
        assert json.dumps(len(backend.jobs)) == "1"
