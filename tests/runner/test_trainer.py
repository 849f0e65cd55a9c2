"""start, wait, cancel: against a scripted backend, over real sockets, into a real journal."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted import COMPLETED, STARTED, TOKEN, log, options, trainer

from arkor.errors import (
    AbortError,
    CloudApiError,
    ConfigError,
    StreamExhaustedError,
    TrainingCancelledError,
    TrainingFailedError,
)
from arkor.runner.abort import AbortController
from arkor.runner.callbacks import TrainerCallbacks
from arkor.runner.trainer import Trainer
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, Cut, Until, answer_json

pytestmark = pytest.mark.usefixtures("project")


def records(run: Trainer) -> Iterator[tuple[str, str]]:
    assert run.run_id
    return ((each.source, each.type) for each in open_journal().records(run.run_id))


def test_a_run_from_the_wish_to_the_result() -> None:
    seen: list[object] = []
    callbacks = TrainerCallbacks(
        on_started=lambda ctx: seen.append(("started", ctx.job.status)),
        on_log=lambda ctx: seen.append((ctx.step, ctx.loss, ctx.eval_loss)),
        on_completed=lambda ctx: seen.append(ctx.artifacts),
    )
    with ScriptedBackend([STARTED, log(1, loss=2.0), log(2, evalLoss=1.5), COMPLETED]) as backend:
        run = trainer(backend, callbacks)
        result = run.wait_sync()
    assert (result.status, result.succeeded) == ("completed", True)
    assert result.artifacts == ({"pathname": "adapter.json"},)
    assert result.job.started_at == result.job.completed_at == "2026-01-01T00:00:00Z"
    assert seen == [("started", "running"), (1, 2.0, None), (2, None, 1.5), result.artifacts]
    result.raise_for_status()
    assert [kind for source, kind in records(run) if source == "stream"] == [
        "training.started",
        "training.log",
        "training.log",
        "training.completed",
    ]


def test_every_event_is_in_the_journal_before_its_callback_sees_it() -> None:
    held: list[bool] = []

    def on_event(ctx: Any) -> None:
        assert run.run_id
        tail = [each for each in open_journal().records(run.run_id) if each.seq == ctx.event.seq]
        held.append(tail[0].data == ctx.event.text)

    with ScriptedBackend([STARTED, *(log(step) for step in range(20)), COMPLETED]) as backend:
        run = trainer(backend, TrainerCallbacks(on_event=on_event))
        run.wait_sync()
    assert held == [True] * 22


def test_omitted_options_are_absent_and_false_ones_are_sent() -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        run = trainer(
            backend, lora={"r": 8, "alpha": 16}, max_steps=5, dry_run=False, warmup_steps=0
        )
        run.wait_sync()
        (job,) = backend.jobs.values()
    assert job["config"] == {
        "model": "owner/model",
        "datasetSource": {"type": "huggingface", "name": "owner/data"},
        "loraR": 8,
        "loraAlpha": 16,
        "maxSteps": 5,
        "dryRun": False,
        "warmupSteps": 0,
    }


def test_start_submits_once_calls_nobody_and_needs_no_wait() -> None:
    seen: list[object] = []
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run = trainer(backend, {"on_event": seen.append})

        async def main() -> set[str]:
            started = await asyncio.gather(*(run.start() for _ in range(5)))
            return {each.job_id for each in started}

        assert asyncio.run(main()) == {run.start_sync().job_id} == {"job-1"}
        assert len(backend.jobs) == 1
        assert seen == []


def test_a_failed_run_returns_and_raises_only_on_request() -> None:
    seen: list[str] = []
    failed = {"type": "training.failed", "error": "out of memory", "step": 3}
    with ScriptedBackend([STARTED, failed]) as backend:
        result = trainer(backend, {"on_failed": lambda ctx: seen.append(ctx.error)}).wait_sync()
    assert (result.status, result.artifacts, result.job.error) == ("failed", (), "out of memory")
    assert seen == ["out of memory"]
    with pytest.raises(TrainingFailedError, match="out of memory"):
        result.raise_for_status()


def test_a_dropped_connection_loses_nothing_and_repeats_nothing() -> None:
    seen: list[int] = []
    events = [STARTED, log(1), Cut(), log(2), log(3), Cut(reset=True), log(4), COMPLETED]
    with ScriptedBackend(events) as backend:
        run = trainer(backend, {"on_log": lambda ctx: seen.append(ctx.step)})
        run.wait_sync()
        asked = [r.headers.get("last-event-id") for r in backend.requests if "stream" in r.path]
    assert seen == [1, 2, 3, 4]
    assert asked[0] is None
    assert asked[-1] is not None
    assert sum(kind == "arkor.stream.opened" for _, kind in records(run)) == len(asked)


@pytest.mark.parametrize("ids", [True, False])
def test_a_backend_that_starts_over_is_not_recorded_twice(ids: bool) -> None:
    seen: list[int] = []
    events = [STARTED, log(1), log(1), Cut(), log(2), Cut(), log(3), COMPLETED]
    with ScriptedBackend(events, last_event_id=False, ids=ids) as backend:
        run = trainer(backend, {"on_log": lambda ctx: seen.append(ctx.step)})
        run.wait_sync()
    assert seen == [1, 1, 2, 3]


def test_what_a_callback_raises_comes_out_unchanged_and_is_tried_again() -> None:
    calls: list[tuple[int, int]] = []
    mistake = RuntimeError("a mistake")

    def on_log(ctx: Any) -> None:
        calls.append((ctx.step, ctx.attempt))
        if len(calls) < 3:
            raise mistake

    with ScriptedBackend([STARTED, log(1), log(2), COMPLETED]) as backend:
        run = trainer(backend, {"on_log": on_log})
        for _ in range(2):
            with pytest.raises(RuntimeError) as caught:
                run.wait_sync()
            assert caught.value is mistake
        assert run.wait_sync().succeeded
        assert len(backend.jobs) == 1
    assert calls == [(1, 1), (1, 2), (1, 3), (2, 1)]


def test_consumers_have_cursors_of_their_own() -> None:
    first: list[int] = []
    second: list[int] = []
    fail = threading.Event()
    fail.set()

    def on_second(ctx: Any) -> None:
        if ctx.step == 2 and fail.is_set():
            fail.clear()
            raise ValueError("once")
        second.append(ctx.step)

    sets = [
        TrainerCallbacks(name="first", on_log=lambda ctx: first.append(ctx.step)),
        TrainerCallbacks(name="second", on_log=on_second),
    ]
    with ScriptedBackend([STARTED, log(1), log(2), log(3), COMPLETED]) as backend:
        run = trainer(backend, sets)
        with pytest.raises(ValueError, match="once"):
            run.wait_sync()
        run.wait_sync()
    assert first == second == [1, 2, 3]
    assert run.run_id
    assert open_journal().run(run.run_id).settled


def test_two_sets_of_one_name_are_a_mistake() -> None:
    same = TrainerCallbacks(on_log=print)
    with ScriptedBackend() as backend, pytest.raises(ConfigError, match="name"):
        trainer(backend, [same, same])


def test_abort_ends_the_wait_alone_and_wait_goes_on_afterwards() -> None:
    controller = AbortController()
    seen: list[int] = []
    release = threading.Event()

    def on_log(ctx: Any) -> None:
        seen.append(ctx.step)
        if ctx.step == 1 and not controller.signal.aborted:
            controller.abort("enough")

    with ScriptedBackend([STARTED, log(1), Until(release), log(2), COMPLETED]) as backend:
        run = trainer(backend, {"on_log": on_log}, abort_signal=controller.signal)
        with pytest.raises(AbortError, match="enough") as caught:
            run.wait_sync()
        assert caught.value.reason == "enough"
        assert not backend.cancelled.is_set()
        assert ("local", "arkor.aborted") in list(records(run))
        release.set()
        again = trainer(backend, {"on_log": on_log}, resume="never")
        assert again.wait_sync().succeeded
    assert seen[0] == 1


def test_abort_from_another_thread_ends_a_quiet_wait() -> None:
    controller = AbortController()
    with ScriptedBackend([STARTED, Until(threading.Event())]) as backend:
        run = trainer(
            backend, {"on_started": lambda ctx: timer.start()}, abort_signal=controller.signal
        )
        timer = threading.Thread(target=controller.abort)
        with pytest.raises(AbortError):
            run.wait_sync()
        timer.join()


def test_cancelling_the_task_leaves_a_log_that_goes_on() -> None:
    held = threading.Event()
    with ScriptedBackend([STARTED, log(1), Until(held), log(2), COMPLETED]) as backend:
        started = threading.Event()
        seen: list[int] = []

        def on_log(ctx: Any) -> None:
            seen.append(ctx.step)
            started.set()

        run = trainer(backend, {"on_log": on_log})

        async def main() -> None:
            task = asyncio.create_task(run.wait())
            await asyncio.to_thread(started.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            held.set()
            assert (await run.wait()).succeeded

        asyncio.run(main())
        assert len(backend.jobs) == 1
    assert seen == [1, 2]


def test_cancel_ends_the_run_though_no_event_says_so() -> None:
    seen: list[str] = []
    with ScriptedBackend([STARTED, log(1), Until(threading.Event())], end=False) as backend:

        async def on_log(ctx: Any) -> None:
            await run.cancel()

        run = trainer(
            backend,
            {"on_log": on_log, "on_cancelled": lambda ctx: seen.append(ctx.job.status)},
        )
        run.cancel_sync()  # before the job exists it does nothing
        assert not backend.requests
        result = run.wait_sync()
    assert result.status == "cancelled"
    assert seen == ["cancelled"]
    with pytest.raises(TrainingCancelledError):
        result.raise_for_status()
    assert ("local", "arkor.reconciled") in list(records(run))


def test_an_end_without_a_terminal_event_is_looked_up() -> None:
    with ScriptedBackend([STARTED, log(1)]) as backend:

        def finish(ctx: Any) -> None:
            backend.jobs["job-1"].update(status="completed", artifacts=[{"pathname": "a"}])

        result = trainer(backend, {"on_started": finish}).wait_sync()
    assert (result.status, result.artifacts) == ("completed", ({"pathname": "a"},))


@pytest.mark.parametrize("status", [204, 410])
def test_no_stream_any_more_is_looked_up(status: int) -> None:
    with ScriptedBackend() as backend:
        run = trainer(backend)
        run.start_sync()
        backend.jobs["job-1"]["status"] = "failed"
        backend.jobs["job-1"]["error"] = "evicted"
        backend.on("GET", "/v1/jobs/{id}/events/stream", Answer(status))
        result = run.wait_sync()
    assert (result.status, result.job.error) == ("failed", "evicted")


@pytest.mark.parametrize("status", [400, 403, 422, 426])
def test_a_final_refusal_ends_the_wait(status: int) -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        backend.on("GET", "/v1/jobs/{id}/events/stream", answer_json({"error": "no"}, status))
        with pytest.raises(CloudApiError) as caught:
            trainer(backend).wait_sync()
        assert caught.value.status == status


@pytest.mark.parametrize("status", [404, 408, 425, 429, 500, 503])
def test_a_passing_refusal_is_tried_again(status: int) -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        refusal = answer_json({"error": "later"}, status)
        backend.on("GET", "/v1/jobs/{id}/events/stream", refusal, refusal, backend.stream)
        assert trainer(backend).wait_sync().succeeded


def test_the_limit_of_failures_in_a_row() -> None:
    with ScriptedBackend() as backend:
        backend.on("GET", "/v1/jobs/{id}/events/stream", answer_json({"error": "later"}, 503))
        run = trainer(backend, options=options(backend, max_reconnect_attempts=2))
        with pytest.raises(StreamExhaustedError, match="3 times") as caught:
            run.wait_sync()
        assert isinstance(caught.value.__cause__, CloudApiError)
        assert sum("stream" in request.path for request in backend.requests) == 3
        backend.events = [COMPLETED]
        backend.on("GET", "/v1/jobs/{id}/events/stream", backend.stream)
        assert run.wait_sync().succeeded


def test_a_refused_submission_is_over_and_may_be_made_again() -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        refusal = answer_json({"error": "no such dataset"}, 400)
        backend.on("POST", "/v1/jobs", refusal, backend.create_job)
        run = trainer(backend)
        with pytest.raises(CloudApiError, match="no such dataset"):
            run.start_sync()
        assert run.wait_sync().succeeded
        assert [row.status for row in open_journal().runs()] == ["completed", "refused"]


def test_unknown_events_are_kept_and_given_to_on_event_alone() -> None:
    seen: list[str] = []
    events = [STARTED, {"type": "gpu.hot", "celsius": 90}, b"data: not json\n\n", COMPLETED]
    with ScriptedBackend(events) as backend:
        run = trainer(backend, {"on_event": lambda ctx: seen.append(ctx.event.type)})
        run.wait_sync()
    assert seen == ["training.started", "gpu.hot", "training.completed"]
    assert ("stream", "message") in list(records(run))


def test_no_token_reaches_the_journal() -> None:
    events = [STARTED, {"type": "debug", "header": f"Bearer {TOKEN}"}, COMPLETED]
    seen: list[str] = []
    with ScriptedBackend(events) as backend:
        run = trainer(
            backend,
            {"on_event": lambda ctx: seen.append(ctx.event.text)},
            name="secret",
            dataset={"type": "blob", "url": "https://data.example/rows", "token": "shorttok"},
        )
        run.wait_sync()
        assert backend.jobs["job-1"]["config"]["datasetSource"]["token"] == "shorttok"
    raw = b"".join(path.read_bytes() for path in open_journal().path.parent.glob("arkor.db*"))
    assert TOKEN.encode() not in raw
    assert b"shorttok" not in raw
    assert any("[secret:" in text for text in seen)
    assert not any(TOKEN in text for text in seen)


def in_a_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_the_blocking_twins_work_in_a_thread_and_inside_a_running_loop() -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        assert in_a_thread(trainer(backend).wait_sync).succeeded

        async def notebook() -> bool:
            return trainer(backend, name="another").wait_sync().succeeded

        assert asyncio.run(notebook())


def test_a_callback_that_blocks_the_loop_does_not_stop_the_recording() -> None:
    recorded = threading.Event()

    def on_started(ctx: Any) -> None:
        def all_there() -> bool:
            return open_journal().run("@last").terminal

        pause = threading.Event()
        while not all_there():
            pause.wait(0.01)
        recorded.set()

    with ScriptedBackend([STARTED, *(log(step) for step in range(50)), COMPLETED]) as backend:
        assert trainer(backend, {"on_started": on_started}).wait_sync().succeeded
    assert recorded.is_set()
