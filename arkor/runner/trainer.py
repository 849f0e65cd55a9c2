"""The verbs of a run: start, wait, cancel."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from arkor.core.spec import Dataset, LoraConfig, TrainingSpec, to_dataset, to_lora
from arkor.core.state import RunState
from arkor.core.wire import Job
from arkor.errors import (
    ArkorError,
    ConfigError,
    JournalError,
    TrainingCancelledError,
    TrainingFailedError,
)
from arkor.runner.abort import AbortSignal
from arkor.runner.adopt import Adoption, Wish, own
from arkor.runner.callbacks import BoundCallbacks, CallbackSet, bind
from arkor.runner.deliver import Delivery, Replay, Wakeup
from arkor.runner.engine import on_engine, starting, submit
from arkor.runner.ingest import Ingest
from arkor.runner.options import TrainerOptions
from arkor.runner.ownership import OwnedRun
from arkor.runner.provenance import EntrySource, current_entry, describe
from arkor.runner.session import open_session
from arkor.runner.submit import Submission
from arkor.runner.sync import run_blocking
from arkor.runner.upload import prepare_config

__all__ = ["Plan", "StartedRun", "Trainer", "TrainingResult", "create_trainer"]

log = logging.getLogger("arkor")


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that the backend has accepted; `resumed` if it was one from before."""

    job_id: str
    run_id: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended: its job, and what it made."""

    job: Job
    artifacts: tuple[Any, ...]

    @property
    def status(self) -> str:
        """`completed`, `failed` or `cancelled`."""
        return self.job.status

    @property
    def succeeded(self) -> bool:
        """Whether the run completed."""
        return self.status == "completed"

    def raise_for_status(self) -> None:
        """Raise `TrainingFailedError` or `TrainingCancelledError` unless the run completed."""
        job = self.job
        if self.status == "cancelled":
            raise TrainingCancelledError(f"job {job.id} was cancelled", job_id=job.id)
        if not self.succeeded:
            raise TrainingFailedError(
                f"job {job.id} failed: {job.error or 'no error message'}",
                job_id=job.id,
                error=job.error,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a trainer was made with. `own` gets it a run; `given` is what made it, as given."""

    name: str
    consumers: tuple[BoundCallbacks, ...]
    own: Callable[["Plan"], Coroutine[Any, Any, Submission]]
    options: TrainerOptions
    abort_signal: AbortSignal | None = None
    replay: Replay = "pending"
    entry: EntrySource | None = None
    spec: TrainingSpec | None = None
    given: Mapping[str, Any] | None = None
    run_key: str | None = None
    resume: Adoption = "orphaned"

    @property
    def consumer_names(self) -> tuple[str, ...]:
        """The names of the callback sets, in order."""
        return tuple(consumer.name for consumer in self.consumers)


class Trainer:
    """One run: `start` submits it, `wait` follows it and calls back, `cancel` stops it.

    A trainer drives a single run for ever; build a fresh one for another. Each coroutine has a
    blocking twin with the suffix `_sync`.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._submission: Submission | None = None
        self._starting: Future[StartedRun] | None = None
        self._waiting: Future[TrainingResult] | None = None
        self._delivery: Delivery | None = None

    def __repr__(self) -> str:
        return f"<Trainer {self.name!r} job={self.job_id}>"

    @property
    def name(self) -> str:
        """The run's name."""
        return self._plan.name

    @property
    def plan(self) -> Plan:
        """All that it was made with."""
        return self._plan

    @property
    def consumers(self) -> tuple[BoundCallbacks, ...]:
        """Its callback sets, named as the journal names them; `replay` takes them as they are."""
        return self._plan.consumers

    @property
    def job(self) -> Job | None:
        """The job as it was last seen; `None` before the backend has accepted it."""
        return self._submission.run.state.job if self._submission else None

    @property
    def job_id(self) -> str | None:
        """The backend's id of the run; `None` before the backend has accepted it."""
        return self._submission.run.state.job_id if self._submission else None

    @property
    def run_id(self) -> str | None:
        """The journal's id of the run; `None` before `start`."""
        return self._submission.run.run_id if self._submission else None

    def with_options(self, **changes: Any) -> "Trainer":
        """Build a fresh trainer with other values for some of `create_trainer`'s options."""
        plan = self._plan
        if plan.given is None:
            raise ConfigError("only a trainer of create_trainer() has options to change")
        fresh = create_trainer(**{**plan.given, **changes})
        return Trainer(replace(fresh.plan, entry=plan.entry))

    async def start(self) -> StartedRun:
        """Submit the run, once; a second call returns the same. Opens no stream, calls nobody.

        An unfinished run of this project with the same name and options whose process died is
        adopted instead of submitting another. Raises `ConfigError`, `CloudApiError`,
        `BackendUnreachableError`, `JournalError`, `RunOwnedError`, `SubmissionInDoubtError`,
        `CredentialsError`, `ProjectStateError`; then it may be called again.
        """
        with self._lock:
            future = self._starting
            if future is None or (future.done() and _failed(future)):
                future = self._starting = submit(self._start())
        return await asyncio.shield(asyncio.wrap_future(future))

    async def wait(self) -> TrainingResult:
        """Follow the run to its end, starting it if needed, and call the callbacks.

        Returns for `completed`, `failed` and `cancelled` alike. Raises only when no terminal
        status was reached: `AbortError`, `StreamExhaustedError`, `CloudApiError` for a refusal
        that no retry mends, `JournalError`, and what a callback raised, unchanged. Then it may
        be called again, here or in another process, and goes on.
        """
        while True:
            with self._lock:
                under_way = self._waiting
                if under_way is None:
                    mine = self._waiting = Future()
                    break
            try:
                return await asyncio.shield(asyncio.wrap_future(under_way))
            except _AbandonedError:
                continue  # whoever waited first was cancelled; this wait takes its place
        try:
            result = await self._wait()
        except BaseException as error:
            self._waiting = None
            cancelled = isinstance(error, asyncio.CancelledError)
            mine.set_exception(_AbandonedError() if cancelled else error)
            raise
        self._waiting = None
        mine.set_result(result)
        return result

    async def cancel(self) -> None:
        """Ask the backend to stop the run; before `start` it does nothing.

        Ends no wait by itself: `wait` returns when the backend has stopped. Raises
        `CloudApiError` if the backend refuses, such as for a run that has ended.
        """
        if self._starting is None:
            return
        await self.start()
        if self._submission is not None:
            await on_engine(_cancel(self._submission.run, idle=self._waiting is None))

    def start_sync(self) -> StartedRun:
        """Do what `start` does, blocking."""
        return run_blocking(self.start)

    def wait_sync(self) -> TrainingResult:
        """Do what `wait` does, blocking; callbacks run in a loop of this call."""
        return run_blocking(self.wait)

    def cancel_sync(self) -> None:
        """Do what `cancel` does, blocking."""
        run_blocking(self.cancel)

    async def _start(self) -> StartedRun:
        async with starting():
            return await self._submit()

    async def _submit(self) -> StartedRun:
        submission = self._submission
        if submission is None or submission.refused:
            submission = self._submission = await self._plan.own(self._plan)
        elif submission.run.state.job is None:
            submission.run.work()
        run = submission.run
        async with run.session:
            try:
                await submission.ensure()
            except BaseException:
                if not submission.refused:
                    _quietly(run, run.rest)
                raise
        return StartedRun(run.job_id, run.run_id, submission.resumed)

    async def _wait(self) -> TrainingResult:
        signal = self._plan.abort_signal
        if signal is not None:
            signal.throw_if_aborted()
        await self.start()
        assert self._submission is not None
        run, plan = self._submission.run, self._plan
        if run.state.settled:
            return _result(run.state)
        async with self._ingesting(run) as (ingest, wakeup):
            if self._delivery is None:
                self._delivery = Delivery(run, plan.consumers, plan.replay, plan.abort_signal)
            return _result(await self._delivery.until_end(ingest, wakeup))

    @asynccontextmanager
    async def _ingesting(self, run: OwnedRun) -> AsyncIterator[tuple[Ingest, Wakeup]]:
        wakeup = Wakeup()
        signal = self._plan.abort_signal
        unsubscribe = signal.subscribe(wakeup) if signal else _nothing
        ingest = Ingest(run, wakeup)
        try:
            await on_engine(_begin(run, ingest))
            yield ingest, wakeup
        finally:
            unsubscribe()
            # Not to be cancelled half-way: the next wait must find nobody recording.
            await asyncio.shield(on_engine(_leave(run, ingest)))


class _AbandonedError(Exception):
    """The wait that another one shares was cancelled; nothing is wrong with the run."""


async def _begin(run: OwnedRun, ingest: Ingest) -> None:
    run.work()
    await ingest.start()


async def _leave(run: OwnedRun, ingest: Ingest) -> None:
    await ingest.stop()
    await run.session.close()
    _quietly(run, run.leave)


def _quietly(run: OwnedRun, leave: Callable[[], None]) -> None:
    """Let a run go. What this came to before, a result or an error, is what its caller sees."""
    try:
        leave()
    except JournalError as error:
        log.warning("run %s: %s", run.run_id, error)


async def _cancel(run: OwnedRun, *, idle: bool) -> None:
    await run.request_cancel()
    if idle:
        await run.session.close()


def _nothing() -> None:
    """Take nothing off: there was no signal to listen to."""


def _failed(future: Future[StartedRun]) -> bool:
    return future.cancelled() or future.exception() is not None


def _result(state: RunState) -> TrainingResult:
    if state.job is None:
        raise ArkorError(f"run {state.run_id} was refused by the backend; there is no job")
    return TrainingResult(state.job, state.artifacts)


def create_trainer(
    *,
    name: str,
    model: str,
    dataset: Dataset | Mapping[str, Any],
    lora: LoraConfig | Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    num_train_epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    optim: str | None = None,
    lr_scheduler_type: str | None = None,
    weight_decay: float | None = None,
    warmup_steps: Any = None,
    logging_steps: Any = None,
    save_steps: Any = None,
    eval_steps: Any = None,
    train_on_responses_only: Any = None,
    dataset_format: Any = None,
    dataset_split: Any = None,
    dry_run: bool | None = None,
    callbacks: CallbackSet | Sequence[CallbackSet] | None = None,
    abort_signal: AbortSignal | None = None,
    run_key: str | None = None,
    resume: Adoption = "orphaned",
    replay: Replay = "pending",
    options: TrainerOptions | None = None,
) -> Trainer:
    """Describe a run. Does no I/O; an option that was not given is left to the backend.

    `run_key` makes the run the only one of that key in this project, for ever. `resume` says
    whether `start` may adopt an unfinished run of the same name and options whose process died.
    `replay="all"` gives every record again to a restarted process, not only the unfinished ones.
    Raises `ConfigError`, naming the field, for a value that cannot work.
    """
    given = dict(locals())  # the options alone, as long as there is no other name
    if resume not in ("orphaned", "never"):
        raise ConfigError(f'resume must be "orphaned" or "never", not {resume!r}', field="resume")
    if replay not in ("pending", "all"):
        raise ConfigError(f'replay must be "pending" or "all", not {replay!r}', field="replay")
    if run_key is not None and not (isinstance(run_key, str) and run_key.strip()):
        raise ConfigError("run_key must be a text that is not empty", field="run_key")
    asked = {item.name: given[item.name] for item in fields(TrainingSpec)}
    spec = TrainingSpec(**{**asked, "dataset": to_dataset(dataset), "lora": to_lora(lora)})
    entry, options = current_entry(), options or TrainerOptions()
    if entry is not None and options.cwd is None:
        # An entry's project is the one it lies in, from wherever it is run.
        options = replace(options, cwd=entry.project_root)
    return Trainer(
        Plan(
            name=name,
            spec=spec,
            given={**given, "options": options},
            own=_wish_for,
            consumers=bind(callbacks),
            abort_signal=abort_signal,
            run_key=run_key,
            resume=resume,
            replay=replay,
            options=options,
            entry=entry,
        )
    )


async def _wish_for(plan: Plan) -> Submission:
    """The run of a trainer that `create_trainer` made."""
    assert plan.spec is not None
    async with await open_session(plan.options) as session:
        config = await prepare_config(plan.spec, session)
        wish = Wish(
            spec=plan.spec,
            consumers=plan.consumer_names,
            provenance=await asyncio.to_thread(describe, plan.entry, plan.consumers),
            run_key=plan.run_key,
            resume=plan.resume,
        )
        run, earlier = own(wish, session, config)
    return Submission(run, config, resumed=earlier, sent=earlier)
