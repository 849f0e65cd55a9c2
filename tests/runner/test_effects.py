"""Effects that happen once, recalled in every later attempt; replays; the ready-made sets."""

import asyncio
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from scripted import COMPLETED, QUESTION, STARTED, log, options, trainer

from arkor.errors import CloudApiError, ConfigError, NonDeterminismError
from arkor.runner.callbacks import TrainerCallbacks
from arkor.runner.early_stopping import EarlyStopping
from arkor.runner.replay import ReplayReport, replay
from arkor.runner.takeover import resume_run
from arkor.runner.webhook import Webhook
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, Forever, answer_json
from arkor.testing.server import ScriptedServer

pytestmark = pytest.mark.usefixtures("project")

CHECKPOINT = {"type": "checkpoint.saved", "step": 2}


def fails_first(times: int = 1) -> Callable[[], None]:
    left = [times]

    def fail() -> None:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("not yet")

    return fail


def test_an_effect_is_not_repeated_by_the_next_attempt() -> None:
    sent: list[tuple[int, str]] = []
    results: list[Any] = []
    fail = fails_first()

    def send(text: str, *, key: str) -> dict[str, Any]:
        sent.append((len(sent), key))
        return {"said": text, "number": len(sent)}

    async def on_log(ctx: Any) -> None:
        key = ctx.idempotency_key("send")
        results.append(await ctx.once("send", send, f"step {ctx.step}", key=key))
        fail()

    with ScriptedBackend([STARTED, log(1), log(2), COMPLETED]) as backend:
        run = trainer(backend, {"on_log": on_log})
        with pytest.raises(RuntimeError):
            run.wait_sync()
        run.wait_sync()
    assert [number for number, _ in sent] == [0, 1]
    assert len({key for _, key in sent}) == 2
    assert results == [
        {"said": "step 1", "number": 1},
        {"said": "step 1", "number": 1},
        {"said": "step 2", "number": 2},
    ]


def test_two_callbacks_of_a_record_have_effects_of_their_own() -> None:
    made: list[str] = []

    async def effect(ctx: Any) -> None:
        made.append(await ctx.once("send", ctx.idempotency_key, "send"))

    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        trainer(backend, {"on_log": effect, "on_event": effect}).wait_sync()
    assert len(made) == 4
    assert len(set(made)) == 4


def test_a_result_that_json_cannot_carry_is_refused_with_its_key() -> None:
    async def on_log(ctx: Any) -> None:
        await ctx.once("thing", object)

    with (
        ScriptedBackend([STARTED, log(1), COMPLETED]) as backend,
        pytest.raises(ConfigError, match="thing"),
    ):
        trainer(backend, {"on_log": on_log}).wait_sync()


def test_answers_are_recalled_whole_and_streamed() -> None:
    answers: list[Any] = []
    fail = fails_first()

    async def on_checkpoint(ctx: Any) -> None:
        whole = await ctx.infer(QUESTION, max_tokens=5)
        pieces = [piece async for piece in ctx.infer.stream(QUESTION)]
        first = [piece async for piece in take(ctx.infer.stream(QUESTION), 1)]
        answers.append((whole.text, pieces, first))
        fail()

    with ScriptedBackend([STARTED, CHECKPOINT, COMPLETED], chat="Good day to you") as backend:
        run = trainer(backend, {"on_checkpoint": on_checkpoint})
        with pytest.raises(RuntimeError):
            run.wait_sync()
        run.wait_sync()
        asked = [r.json() for r in backend.requests if r.path == "/v1/inference/chat"]
    # The one that was left early is asked again: whether it was enough, the failure left open.
    assert len(asked) == 4
    assert asked[0]["adapter"] == {"kind": "checkpoint", "jobId": "job-1", "step": 2}
    assert answers[0] == answers[1]
    assert answers[0] == ("Good day to you", ["Good ", "day ", "to ", "you"], ["Good "])


async def take(pieces: Any, count: int) -> Any:
    async for piece in pieces:
        yield piece
        count -= 1
        if not count:
            return


def test_what_a_callback_is_given_is_a_function_of_the_log() -> None:
    given: list[tuple[Any, ...]] = []
    fail = fails_first(2)

    def on_log(ctx: Any) -> None:
        given.append((ctx.now, ctx.random.random(), ctx.job, ctx.event, ctx.idempotency_key("k")))
        fail()

    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        run = trainer(backend, {"on_log": on_log})
        for _ in range(2):
            with pytest.raises(RuntimeError):
                run.wait_sync()
        run.wait_sync()
    assert given[0] == given[1] == given[2]
    assert given[0][0].isoformat().startswith(given[0][3].recorded_at[:19])


def recorded_run(callbacks: Any) -> str:
    with ScriptedBackend(
        [STARTED, log(1), log(2), CHECKPOINT, log(3), COMPLETED], chat="yes"
    ) as backend:
        run = trainer(backend, callbacks)
        assert run.wait_sync().succeeded
    assert run.run_id
    return run.run_id


def again(run_id: str, callbacks: Any, *, strict: bool = False) -> ReplayReport:
    return asyncio.run(replay(run_id, callbacks, strict=strict))


def effects(*, key: str = "send", text: str = "hi", extra: bool = False, drop: bool = False,
            swap: bool = False) -> TrainerCallbacks:  # fmt: skip
    async def on_checkpoint(ctx: Any) -> None:
        steps = [lambda: ctx.once(key, str.upper, text), lambda: ctx.infer(QUESTION)]
        if drop:
            steps.pop()
        if extra:
            steps.append(lambda: ctx.once("more", str.upper, "x"))
        for step in reversed(steps) if swap else steps:
            await step()

    return TrainerCallbacks(on_checkpoint=on_checkpoint, on_log=lambda ctx: None)


def test_a_replay_makes_the_same_calls_offline() -> None:
    run_id = recorded_run(effects())
    before = open_journal().run(run_id)
    report = again(run_id, effects(), strict=True)
    assert report.ok
    assert [(call.callback, len(call.steps)) for call in report.calls] == [
        ("on_log", 0),
        ("on_log", 0),
        ("on_checkpoint", 2),
        ("on_log", 0),
    ]
    assert report == again(run_id, effects())
    assert open_journal().run(run_id) == before


@pytest.mark.parametrize(
    "change",
    [{"key": "other"}, {"text": "ho"}, {"extra": True}, {"drop": True}, {"swap": True}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_callback_is_found(change: dict[str, Any]) -> None:
    run_id = recorded_run(effects())
    report = again(run_id, effects(**change))
    assert not report.ok
    (found,) = report.divergences
    assert (found.seq, found.consumer) == (report.calls[2].seq, "main")
    assert found.expected != found.actual
    with pytest.raises(NonDeterminismError, match="expected") as caught:
        again(run_id, effects(**change), strict=True)
    assert (caught.value.seq, caught.value.expected) == (found.seq, found.expected)


def test_a_divergence_that_the_callback_swallows_is_found_all_the_same() -> None:
    run_id = recorded_run(effects())

    async def on_checkpoint(ctx: Any) -> None:
        for _ in range(2):
            try:
                await ctx.once("other", str.upper, "hi")
            except Exception:
                continue

    with pytest.raises(NonDeterminismError):
        again(run_id, TrainerCallbacks(on_checkpoint=on_checkpoint), strict=True)


def test_a_callback_that_raises_now_but_did_not_then_diverges() -> None:
    run_id = recorded_run(effects())
    report = again(run_id, {"on_log": lambda ctx: 1 / 0})
    assert len(report.divergences) == 3
    assert "ZeroDivisionError" in str(report.divergences[0])


def test_a_rebuilt_set_takes_no_step_that_is_not_on_record() -> None:
    fail = fails_first()
    steps: list[int] = []

    async def on_log(ctx: Any) -> None:
        if ctx.replaying:
            await ctx.once("new", steps.append, ctx.step)

    def on_completed(ctx: Any) -> None:
        fail()

    events = [STARTED, log(1), CHECKPOINT, COMPLETED]
    with ScriptedBackend(events) as backend:
        stateful = TrainerCallbacks(
            on_log=on_log, on_checkpoint=lambda ctx: None, on_completed=on_completed, replays=True
        )
        run = trainer(backend, stateful)
        with pytest.raises(RuntimeError):
            run.wait_sync()

        async def resume() -> None:
            again = await resume_run("@last", callbacks=stateful, options=options(backend))
            await again.wait()

        with pytest.raises(NonDeterminismError):
            asyncio.run(resume())
    assert steps == []


@pytest.mark.parametrize(
    ("stopping", "losses", "said"),
    [
        (EarlyStopping(patience=2), [3.0, 2.0, 2.0, 2.1], "has not fallen"),
        (EarlyStopping(patience=2, min_delta=0.5), [3.0, 2.8, 2.7], "has not fallen"),
        (EarlyStopping(ceiling=5.0), [3.0, 6.0], "above 5"),
        (EarlyStopping(), [3.0, math.inf], "inf"),
    ],
    ids=["patience", "min_delta", "ceiling", "finite"],
)
def test_early_stopping(stopping: EarlyStopping, losses: list[float], said: str) -> None:
    logs = [
        b"".join(
            f'event: training.log\nid: {n + 1}\ndata: {{"type":"training.log","jobId":"job-1",'
            f'"step":{n},"loss":{"1e999" if math.isinf(loss) else loss}}}\n\n'.encode()
            for n, loss in enumerate(losses, 1)
        )
    ]
    with ScriptedBackend([STARTED, *logs, Forever()]) as backend:
        run = trainer(backend, stopping)
        assert run.wait_sync().status == "cancelled"
    assert said in str(stopping.reason)
    asked = [
        json.loads(each.data)
        for each in open_journal().records(run.run_id or "")
        if each.type == "arkor.cancel.requested"
    ]
    assert [note["reason"] for note in asked] == [stopping.reason]


def test_early_stopping_lets_a_good_run_go_on() -> None:
    logs = [log(n, loss=1 / n) for n in range(1, 9)]
    with ScriptedBackend([STARTED, *logs, COMPLETED]) as backend:
        assert trainer(backend, EarlyStopping(patience=1, ceiling=2.0)).wait_sync().succeeded


def test_a_webhook_is_told_once() -> None:
    with ScriptedServer() as hook, ScriptedBackend([STARTED, COMPLETED]) as backend:
        hook.on("POST", "/services/T000/secret-of-the-hook", Answer(200))
        url = f"{hook.url}/services/T000/secret-of-the-hook"
        run = trainer(backend, Webhook(url, events=("started", "completed")))
        run.wait_sync()
        told = [request.json() for request in hook.requests]
        keys = {request.headers["idempotency-key"] for request in hook.requests}
    assert [message["run"]["event"] for message in told] == ["started", "completed"]
    assert told[1]["text"] == told[1]["content"] == "a run completed"
    assert len(keys) == 2
    assert "secret-of-the-hook" not in repr(Webhook(url))
    raw = b"".join(path.read_bytes() for path in open_journal().path.parent.glob("arkor.db*"))
    assert b"secret-of-the-hook" not in raw


@pytest.mark.parametrize("answer", [Answer(500), None], ids=["refused", "not there"])
def test_a_broken_webhook_breaks_nothing(
    answer: Answer | None, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer() as hook, ScriptedBackend([STARTED, COMPLETED]) as backend:
        url = (
            f"{hook.url}/secret-of-the-hook" if answer else "http://127.0.0.1:9/secret-of-the-hook"
        )
        if answer:
            hook.on("POST", "/secret-of-the-hook", answer)
        assert trainer(backend, Webhook(url)).wait_sync().succeeded
    assert "webhook" in caplog.text
    assert "secret-of-the-hook" not in "".join(
        record.getMessage() for record in caplog.records if record.name == "arkor"
    )


def test_random_numbers_are_fit_for_use() -> None:
    drawn: list[float] = []
    with ScriptedBackend([STARTED, log(1), log(2), COMPLETED]) as backend:
        trainer(backend, {"on_log": lambda ctx: drawn.append(ctx.random.random())}).wait_sync()
    assert len(set(drawn)) == 2
    assert random.random() not in drawn


def test_a_step_that_failed_and_was_caught_fails_again_in_a_replay() -> None:
    seen: list[str] = []
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("the first time")
        return "done"

    async def on_checkpoint(ctx: Any) -> None:
        try:
            await ctx.infer(QUESTION)
        except CloudApiError as error:
            seen.append(f"infer: {error.status}")
        for _ in range(3):
            try:
                seen.append(await ctx.once("flaky", flaky))
            except ValueError as error:
                seen.append(f"once: {error}")

    callbacks = TrainerCallbacks(on_checkpoint=on_checkpoint)
    with ScriptedBackend([STARTED, CHECKPOINT, COMPLETED]) as backend:
        backend.on("POST", "/v1/inference/chat", answer_json({"error": "cold"}, 500))
        run = trainer(backend, callbacks)
        run.wait_sync()
    live, tried = list(seen), len(tries)
    assert live == ["infer: 500", "once: the first time", "done", "done"]
    seen.clear()
    report = again(run.run_id or "", callbacks, strict=True)
    assert report.ok
    assert (seen, len(tries)) == (live, tried)
