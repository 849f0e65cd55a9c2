"""A run's stream in bad weather, over real sockets and into a real journal."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from arkor.client import retry
from arkor.client.sse import MAX_EVENT_BYTES
from arkor.client.transport import open_http
from arkor.core.notes import (
    Note,
    Reconciled,
    StreamClosed,
    StreamConflict,
    StreamGap,
    StreamOpened,
    StreamOversize,
    read_note,
)
from arkor.core.record import Record
from arkor.core.wire import frame
from arkor.errors import AbortError, ArkorError, CloudApiError, StreamExhaustedError
from arkor.runner.abort import AbortController
from arkor.runner.engine import on_engine
from arkor.runner.options import TrainerOptions
from arkor.runner.session import open_session
from arkor.runner.sync import run_blocking
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.store.journal import open_journal
from arkor.testing import (
    Answer,
    Call,
    Cut,
    Forever,
    Respond,
    ScriptedBackend,
    ScriptedServer,
    Step,
    Until,
    Wait,
    answer_json,
    event_stream,
)

STREAM = "/v1/jobs/{id}/events/stream"
TOKEN = "a-token-of-this-test-0123"
END = frame("end", "{}")
PING = b"event: ping\ndata: {}\n\n"
NOT_YET = answer_json({"error": "later"}, 503)
TRANSIENT = {408, 425, 429, *range(500, 600)}
SLACK = 0.5
"""Seconds that a busy machine may be late by."""


def step(number: int, id: str | None = None, **more: Any) -> bytes:
    return event("training.log", id, step=number, **more)


def event(type: str, id: str | None = None, **payload: Any) -> bytes:
    return frame(type, _json({"type": type, "jobId": "job-1", **payload}), id)


def _json(value: object) -> str:
    return answer_json(value).body.decode()  # type: ignore[union-attr]


def done(id: str | None = None) -> bytes:
    return event("training.completed", id)


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    with ScriptedBackend() as server:
        yield server


def trainer(backend: ScriptedServer, callbacks: Any = None, **given: Any) -> Trainer:
    signal = given.pop("abort_signal", None)
    options = TrainerOptions(
        base_url=backend.url,
        credentials=AnonymousCredentials(token=TOKEN, anonymous_id="a", org_slug="anon-org"),
        **{"reconnect_delay": 0.001, "max_reconnect_delay": 0.002, **given},
    )
    return create_trainer(
        name="a run",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=callbacks,
        abort_signal=signal,
        options=options,
    )


def follow(backend: ScriptedBackend, *answers: Respond, **given: Any) -> Trainer:
    """A run that was waited for to its end, its stream answered so."""
    backend.on("GET", STREAM, *answers)
    run = trainer(backend, **given)
    assert run.wait_sync().succeeded
    return run


def records(run: Trainer) -> list[Record]:
    assert run.run_id
    return list(open_journal().records(run.run_id))


def events(run: Trainer) -> list[tuple[str | None, str]]:
    return [(each.sse_id, each.data) for each in records(run) if each.source == "stream"]


def steps(run: Trainer) -> list[int]:
    found = (re.search(r'"step": (\d+)', data) for _, data in events(run))
    return [int(match[1]) for match in found if match]


def notes(run: Trainer, *kinds: type) -> list[Note]:
    found = (read_note(each) for each in records(run))
    return [note for note in found if note is not None and isinstance(note, kinds)]


def asked(backend: ScriptedServer) -> str:
    """What was asked for once the run was submitted: S for the stream, J for the job."""
    since = [r.method for r in backend.requests].index("POST") + 1
    paths = [r.path for r in backend.requests if r.method == "GET"]
    assert since
    kinds = (
        "S" if p.endswith("/stream") else "J" if p.startswith("/v1/jobs/") else "" for p in paths
    )
    return "".join(kinds)


# Refusals


def test_every_status_is_retried_or_final(backend: ScriptedBackend) -> None:
    statuses = list(range(200, 600))
    answers = [answer_json({"error": "no"}, status) for status in statuses]
    backend.on("GET", STREAM, *answers, event_stream(done()))
    http = open_http()  # one for all: making one takes longer than a status does
    run, final = trainer(backend, http=http), []
    while len(final) < len(statuses):
        try:
            assert run.wait_sync().succeeded
            break
        except CloudApiError as error:
            final.append(error.status)
    run_blocking(lambda: on_engine(http.aclose()))
    assert asked(backend).count("S") == len(statuses) + 1
    retried = {*range(200, 300), 404, 410, *TRANSIENT}  # 401: this identity has no refresh
    assert final == [status for status in statuses if status not in retried]


@pytest.mark.parametrize("status", [204, 410])
def test_a_stream_that_is_no_more_has_the_job_fetched(
    backend: ScriptedBackend, status: int
) -> None:
    follow(backend, Answer(status), Answer(status), event_stream(done()))
    assert asked(backend) == "SJSJS"


def test_an_end_has_the_job_fetched_and_is_a_record(backend: ScriptedBackend) -> None:
    run = follow(backend, event_stream(step(1, "1"), END), event_stream(step(2, "2"), done("3")))
    assert asked(backend) == "SJS"
    assert [each.type for each in records(run) if each.source == "stream"] == [
        "training.log",
        "end",
        "training.log",
        "training.completed",
    ]


def test_after_each_five_failures_the_job_is_fetched(backend: ScriptedBackend) -> None:
    follow(backend, *[NOT_YET] * 11, event_stream(done()))
    assert asked(backend) == "SSSSSJSSSSSJSS"


def test_a_job_that_ended_behind_a_dead_stream_ends_the_run(backend: ScriptedBackend) -> None:
    backend.on("GET", STREAM, NOT_YET)
    run = trainer(backend)
    run.start_sync()
    backend.jobs["job-1"].update(status="failed", error="evicted")
    result = run.wait_sync()
    assert (result.status, result.job.error) == ("failed", "evicted")
    (note,) = notes(run, Reconciled)
    assert isinstance(note, Reconciled)
    assert note.cause == "5 failures"


def test_a_new_job_may_be_missing_for_a_while(
    backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = answer_json({"error": "not_found"}, 404)
    assert retry.MISSING_GRACE == 300.0
    monkeypatch.setattr(retry, "MISSING_GRACE", 0.3)
    backend.on("GET", STREAM, missing)
    run, began = trainer(backend), time.monotonic()
    with pytest.raises(CloudApiError) as caught:
        run.wait_sync()
    assert caught.value.status == 404
    assert time.monotonic() - began >= 0.3
    # A stream that was there once may again be missing for as long.
    backend.on("GET", STREAM, missing, event_stream(step(1, "1")), missing, event_stream(done("2")))
    assert run.wait_sync().succeeded


def test_a_redirect_is_followed_on_the_same_origin_only(backend: ScriptedBackend) -> None:
    with ScriptedServer() as other:
        other.on("GET", "/{anything}", event_stream(done()))
        backend.on("GET", "/moved", event_stream(done()))
        elsewhere = Answer(307, {"location": f"{other.url}/stolen"})
        backend.on("GET", STREAM, elsewhere, Answer(307, {"location": "/moved"}))
        run = trainer(backend)
        with pytest.raises(CloudApiError, match="same origin"):
            run.wait_sync()
        assert run.wait_sync().succeeded
        assert other.requests == []
    (moved,) = (each for each in backend.requests if each.path == "/moved")
    assert moved.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/event-streams", ""])
def test_another_content_type_is_a_failed_connection(backend: ScriptedBackend, kind: str) -> None:
    wrong = Answer(200, {"content-type": kind} if kind else {}, done())
    run = follow(backend, wrong, event_stream(done("7")))
    assert [own for own, _ in events(run)] == ["7"]
    first = notes(run, StreamClosed)[0]
    assert isinstance(first, StreamClosed)
    assert "not with text/event-stream" in first.reason


# Delays


class Delays(logging.Handler):
    """The seconds that the run says it will wait; the wait is aborted as it begins."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seen: list[float] = []
        self.abort = AbortController()

    def emit(self, record: logging.LogRecord) -> None:
        if match := re.search(r"next try in ([0-9.]+) s", record.getMessage()):
            self.seen.append(float(match[1]))
            self.abort.abort()


@pytest.fixture
def delays() -> Iterator[Delays]:
    log, handler = logging.getLogger("arkor"), Delays()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


def in_the_future(**ahead: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(**ahead), usegmt=True)


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (NOT_YET, 7.5, 12.5),
        (answer_json({}, 503, retry_after="120"), 120.0, 120.0),
        (answer_json({}, 429, retry_after="7200"), 3600.0, 3600.0),
        (answer_json({}, 503, retry_after=in_the_future(minutes=30)), 1500.0, 1800.0),
        (answer_json({}, 503, retry_after=in_the_future(days=2)), 3600.0, 3600.0),
        (answer_json({}, 503, retry_after="0"), 10.0, 10.0),
        (answer_json({}, 503, retry_after="soon"), 7.5, 12.5),
        (Answer(204, {"retry-after": "120"}), 7.5, 12.5),
        (event_stream(b"retry: 4000\n\n", step(1, "1"), Cut()), 3.0, 5.0),
        (event_stream(b"retry: 1\n\n", step(1, "1"), Cut()), 0.0, 0.2),
        (event_stream(b"retry: 99999999\n\n", step(1, "1"), Cut()), 15.0, 20.0),
        (event_stream(b"retry: 4 s\n\n", step(1, "1"), Cut()), 7.5, 12.5),
    ],
)
def test_the_delay_before_the_next_try(
    backend: ScriptedBackend, delays: Delays, answer: Answer, least: float, most: float
) -> None:
    backend.on("GET", STREAM, answer)
    run = trainer(
        backend,
        reconnect_delay=10.0,
        max_reconnect_delay=20.0,
        abort_signal=delays.abort.signal,
    )
    with pytest.raises(AbortError):
        run.wait_sync()
    assert least <= delays.seen[0] <= most


def test_a_clean_close_after_data_is_no_failure(backend: ScriptedBackend) -> None:
    answers = [event_stream(step(n, str(n))) for n in range(1, 8)]
    run = follow(backend, *answers, event_stream(done("8")), max_reconnect_attempts=0)
    assert steps(run) == list(range(1, 8))
    assert asked(backend) == "S" * 8


@pytest.mark.parametrize(
    "nothing",
    [
        event_stream(),
        event_stream(b": a comment\n\n", PING),
        event_stream(frame("x", "not json", "1")),
        event_stream(event("training.log", "1")),
        event_stream(event("training.started", "1", jobId="job-2")),
        event_stream(frame("x", "[1]"), Cut()),
        event_stream(b"data: half a fra"),
        event_stream(b"data: half a fra", Cut()),
        Answer(before=(Cut(),)),
        Answer(before=(Cut(reset=True),)),
    ],
    ids=[
        "empty",
        "pings",
        "no JSON",
        "no step",
        "another job",
        "no object",
        "half a frame",
        "half a frame, cut",
        "hung up",
        "reset",
    ],
)
def test_what_is_no_data_does_not_reset_the_count(
    backend: ScriptedBackend, nothing: Answer
) -> None:
    backend.on("GET", STREAM, nothing)
    run = trainer(backend, max_reconnect_attempts=3)
    with pytest.raises(StreamExhaustedError, match="4 times"):
        run.wait_sync()
    assert asked(backend) == "SSSS"


def test_data_resets_the_count(backend: ScriptedBackend) -> None:
    def cut(number: int) -> Answer:
        return event_stream(step(number, str(number)), Cut())

    answers = [NOT_YET, NOT_YET, cut(1), NOT_YET, cut(2), event_stream(PING), done_after(3)]
    run = follow(backend, *answers, max_reconnect_attempts=2)
    assert steps(run) == [1, 2, 3]
    assert [
        note.failures for note in notes(run, StreamClosed) if isinstance(note, StreamClosed)
    ] == [
        0,
        1,
        0,
        1,
        0,
        1,
    ]


def done_after(number: int) -> Answer:
    return event_stream(step(number, str(number)), done(str(number + 1)))


# What the stream brings


def test_the_last_recorded_id_is_asked_for(backend: ScriptedBackend) -> None:
    def cut(*frames: bytes) -> Answer:
        return event_stream(*frames, Cut())

    answers = [cut(step(1, "1")), cut(step(2)), cut(step(3, "x y"), step(4)), cut(step(5, ""))]
    run = follow(backend, *answers, done_after(6))
    sent = [r.headers.get("last-event-id") for r in backend.requests if "stream" in r.path]
    assert sent == [None, "1", "1", "x y", None]
    opened = notes(run, StreamOpened)
    assert [note.last_event_id for note in opened if isinstance(note, StreamOpened)] == sent


def test_gaps_conflicts_and_ids_that_go_back_are_noted(backend: ScriptedBackend) -> None:
    first = [step(1, "1"), step(2, "2"), step(5, "5"), step(3, "3")]
    again = [step(3, "3"), step(22, "2"), step(2, "2"), step(9, "9"), done("10")]
    run = follow(backend, event_stream(*first, Cut()), event_stream(*again))
    assert [own for own, _ in events(run)] == ["1", "2", "5", "3", "2", "9", "10"]
    assert notes(run, StreamGap, StreamConflict) == [
        StreamGap("2", "5"),
        StreamConflict("2", 5),
        StreamGap("5", "9"),
    ]
    closed = notes(run, StreamClosed)[0]
    assert isinstance(closed, StreamClosed)
    assert (closed.events, closed.repeated) == (4, 0)


@pytest.mark.parametrize("ids", ["numbers", "texts", "none", "mixed"])
def test_a_backend_that_begins_anew_each_time_is_recorded_once(
    backend: ScriptedBackend, ids: str
) -> None:
    def own(number: int) -> str | None:
        texts = {"numbers": str(number), "texts": f"id-{number}", "none": None}
        return texts.get(ids, str(number) if number % 3 == 0 else None)

    every = [step(number // 2, own(number)) for number in range(1, 60)]
    cuts = [event_stream(*every[:many], Cut()) for many in (1, 7, 7, 30, 29, 3, 58)]
    run = follow(backend, *cuts, event_stream(*every, done(own(60))))
    assert [own for own, _ in events(run)] == [own(number) for number in range(1, 61)]
    assert steps(run) == [number // 2 for number in range(1, 60)]


def test_an_event_too_large_is_measured_and_the_stream_goes_on(backend: ScriptedBackend) -> None:
    large = [b"id: 2\nevent: huge\ndata: ", *[b"x" * 65536] * (MAX_EVENT_BYTES // 65536), b"x\n\n"]
    run = follow(backend, event_stream(step(1, "1"), *large, step(3, "3"), done("4")))
    (note,) = notes(run, StreamOversize)
    assert isinstance(note, StreamOversize)
    assert (note.event, note.length) == ("huge", MAX_EVENT_BYTES + 1)
    assert [each.sse_id for each in records(run) if each.sse_id] == ["1", "2", "3", "4"]


def test_events_of_another_job_are_kept_and_given_to_nobody(backend: ScriptedBackend) -> None:
    seen: list[int] = []
    other = event("training.completed", "1", jobId="job-2")
    backend.on("GET", STREAM, event_stream(other, step(5, "2"), done("3")))
    run = trainer(backend, {"on_log": lambda ctx: seen.append(ctx.step)})
    assert run.wait_sync().succeeded
    assert seen == [5]
    assert len(events(run)) == 3


# Cancelling


def test_what_was_sent_before_the_job_was_cancelled_is_recorded(backend: ScriptedBackend) -> None:
    """The job says `cancelled` while its last events are still on their way."""
    cancelled = threading.Event()
    late = [b"".join(step(n, str(n)) for n in range(k, k + 50)) for k in range(2, 2000, 50)]
    backend.on("GET", STREAM, event_stream(step(1, "1"), Until(cancelled), *late, Forever()))
    run = trainer(backend, {"on_log": cancel_at_first(lambda: run)}, reconnect_delay=0.1)
    backend.on("POST", "/v1/jobs/{id}/cancel", then(backend.cancel_job, cancelled.set))
    assert run.wait_sync().status == "cancelled"
    assert steps(run) == list(range(1, 2002))


def test_a_run_cancelled_before_a_restart_is_followed_before_it_ends(
    backend: ScriptedBackend,
) -> None:
    backend.on("GET", STREAM, NOT_YET, event_stream(step(1, "1"), step(2, "2"), Forever()))
    run = trainer(backend)
    run.start_sync()
    run.cancel_sync()
    assert run.wait_sync().status == "cancelled"
    assert steps(run) == [1, 2]


def test_a_cancelled_run_ends_without_its_stream(backend: ScriptedBackend) -> None:
    backend.on("GET", STREAM, NOT_YET)
    run = trainer(backend, reconnect_delay=20.0, max_reconnect_delay=20.0)
    run.start_sync()
    run.cancel_sync()
    assert run.wait_sync().status == "cancelled"
    (note,) = notes(run, Reconciled)
    assert isinstance(note, Reconciled)
    assert note.cause == "a cancel request"


def test_a_refused_stream_of_a_cancelled_run_does_not_hide_its_end(
    backend: ScriptedBackend,
) -> None:
    backend.on("GET", STREAM, answer_json({"error": "no"}, 403))
    run = trainer(backend)
    run.start_sync()
    run.cancel_sync()
    with_result = outcome(run)
    assert with_result in ("cancelled", "CloudApiError")
    assert outcome(run) == "cancelled"


def outcome(run: Trainer) -> str:
    try:
        return run.wait_sync().status
    except ArkorError as error:
        return type(error).__name__


def test_connections_are_closed_when_nobody_uses_them(backend: ScriptedBackend) -> None:
    """Whoever cancels beside a wait that begins must not pull the rug from under it."""

    async def use() -> list[bool]:
        async with await open_session(trainer(backend)._plan.options) as session:
            async with session.connect() as api, session.connect():
                await session.close()
                await api.me()
                http = session._client()
                before = http.is_closed
            async with session.connect() as api:
                await api.me()
            return [before, http.is_closed]

    assert run_blocking(lambda: on_engine(use())) == [False, True]


def cancel_at_first(run: Callable[[], Trainer]) -> Callable[[Any], Any]:
    async def on_log(ctx: Any) -> None:
        if ctx.step == 1:
            await run().cancel()

    return on_log


def then(respond: Callable[[Any], Answer], after: Callable[[], object]) -> Respond:
    def answer(request: Any) -> Answer:
        made = respond(request)
        after()
        return made

    return answer


# Silence

IDLE = 0.5


class Stamps:
    """When a connection began to be silent, and when the next one came."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(time.monotonic())

    @property
    def silence(self) -> float:
        return self.at[1] - self.at[0]


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ((), None),
        ((b"HTTP/1.1 200 OK\r\ncontent-ty",), None),
        ((), ()),
        ((), (b"data: half a fra",)),
        ((), (step(1, "1"),)),
        ((), (PING, PING)),
    ],
    ids=["no answer", "half a head", "head only", "half a frame", "after an event", "after pings"],
)
def test_silence_is_found_in_time(
    backend: ScriptedBackend, before: tuple[Step, ...], body: tuple[Step, ...] | None
) -> None:
    stamps = Stamps()
    if body is None:
        silent = Answer(before=(*before, Call(stamps), Forever()))
    else:
        silent = event_stream(*body, Call(stamps), Forever())
    awake = event_stream(Call(stamps), done("2"))
    follow(backend, silent, awake, idle_timeout=IDLE)
    assert IDLE * 0.9 <= stamps.silence < IDLE * 1.1 + SLACK


def test_an_idle_stream_has_the_job_fetched(backend: ScriptedBackend) -> None:
    """It has ended, and its last events are still to be had."""

    def finish() -> None:
        backend.jobs["job-1"].update(status="failed", error="evicted")

    silent = event_stream(step(1, "1"), Call(finish), Forever())
    backend.on("GET", STREAM, silent, event_stream(step(2, "2"), Forever()))
    run = trainer(backend, idle_timeout=0.2)
    result = run.wait_sync()
    assert (result.status, result.job.error) == ("failed", "evicted")
    assert steps(run) == [1, 2]
    assert asked(backend) == "SJS"
    (note,) = notes(run, Reconciled)
    assert isinstance(note, Reconciled)
    assert note.cause == "an idle stream"


@pytest.mark.parametrize("sign", [PING, b": still here\n", b"\n"], ids=["ping", "comment", "LF"])
def test_a_sign_of_life_now_and_then_is_no_silence(backend: ScriptedBackend, sign: bytes) -> None:
    signs: list[Step] = [each for _ in range(12) for each in (sign, Wait(IDLE / 5))]
    follow(backend, event_stream(*signs, done("1")), idle_timeout=IDLE)
    assert asked(backend) == "S"


@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_a_callback_of_ten_idle_times_stops_nothing(backend: ScriptedBackend, kind: str) -> None:
    import asyncio

    recorded: list[int] = []
    seen: list[int] = []
    steps_sent = range(1, 31)
    signs = [each for n in steps_sent for each in (step(n, str(n)), Wait(0.1))]

    def count() -> None:
        recorded.append(open_journal().run("@last").counts.get("training.log", 0))

    async def slowly(ctx: Any) -> None:
        seen.append(ctx.step)
        if ctx.step == 1:
            await asyncio.sleep(10 * 0.3)
            count()

    def blocking(ctx: Any) -> None:
        seen.append(ctx.step)
        if ctx.step == 1:
            time.sleep(10 * 0.3)
            count()

    backend.on("GET", STREAM, event_stream(*signs, done("31")))
    run = trainer(backend, {"on_log": slowly if kind == "async" else blocking}, idle_timeout=0.3)
    assert run.wait_sync().succeeded
    assert asked(backend) == "S"
    assert recorded[0] >= 20
    assert seen == list(steps_sent)
