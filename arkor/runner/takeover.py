"""Runs that something else started, or an earlier process left behind."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from arkor.core.notes import Attached, CancelRequested, entry_of
from arkor.core.redact import without_token
from arkor.core.spec import BlobDataset, TrainingSpec, fingerprint
from arkor.core.state import RunState
from arkor.core.wire import Job, Scope
from arkor.errors import ArkorError, ConfigError, JournalError
from arkor.runner.abort import AbortSignal
from arkor.runner.adopt import open_run, take
from arkor.runner.callbacks import CallbackSet, bind
from arkor.runner.deliver import Replay
from arkor.runner.engine import on_engine
from arkor.runner.options import TrainerOptions
from arkor.runner.ownership import OwnedRun
from arkor.runner.provenance import current_entry, describe
from arkor.runner.session import Session, home_of, open_session, reopen_session
from arkor.runner.submit import Submission, submitted
from arkor.runner.sync import run_blocking
from arkor.runner.trainer import Plan, Trainer, TrainingResult
from arkor.store.journal import open_journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun
from arkor.store.state import project_root
from arkor.store.transaction import Transaction
from arkor.store.writer import open_writer

__all__ = [
    "adopt_job",
    "attach",
    "attach_sync",
    "cancel_run",
    "orphans",
    "resume_orphaned",
    "resume_run",
    "resume_with",
]

log = logging.getLogger("arkor")

Callbacks = CallbackSet | Sequence[CallbackSet] | None


async def attach(
    job_id: str,
    *,
    callbacks: Callbacks = None,
    abort_signal: AbortSignal | None = None,
    replay: Replay = "pending",
    options: TrainerOptions | None = None,
) -> Trainer:
    """Take over a run that something else started; its whole history is fetched and recorded.

    The trainer is started: `wait()` follows it. Raises `CloudApiError` if there is no such job,
    `RunOwnedError` if a living process is waiting on it.
    """
    plan = Plan(
        name=job_id,
        consumers=bind(callbacks),
        own=partial(_attached, job_id),
        abort_signal=abort_signal,
        replay=replay,
        options=options or TrainerOptions(),
        entry=current_entry(),
    )
    trainer = Trainer(plan)
    await trainer.start()
    return trainer


def attach_sync(
    job_id: str,
    *,
    callbacks: Callbacks = None,
    abort_signal: AbortSignal | None = None,
    replay: Replay = "pending",
    options: TrainerOptions | None = None,
) -> Trainer:
    """Do what `attach` does, blocking."""
    return run_blocking(
        lambda: attach(
            job_id,
            callbacks=callbacks,
            abort_signal=abort_signal,
            replay=replay,
            options=options,
        )
    )


async def resume_run(
    id: str,
    *,
    callbacks: Callbacks = None,
    deliver: bool = True,
    submit_again: bool = False,
    abort_signal: AbortSignal | None = None,
    replay: Replay = "pending",
    options: TrainerOptions | None = None,
) -> Trainer:
    """Take over a recorded run, by its run or job id; the trainer is started.

    Without `deliver` the run is recorded to its end, and what its consumers are owed stays
    owed. `submit_again` sends a request whose fate is in doubt without looking for its job.
    Raises `JournalError` if the journal does not know the run, `RunOwnedError` if a living
    process is waiting on it, `ConfigError` if it was never accepted and needs a secret to be
    submitted, or was refused.
    """
    options = options or TrainerOptions()
    row = open_journal(home_of(options)).row(id)
    plan = Plan(
        name=row.name,
        consumers=bind(callbacks) if deliver else (),
        own=partial(_resumed, row.run_id, submit_again),
        abort_signal=abort_signal,
        replay=replay,
        options=options,
        entry=current_entry(),
    )
    trainer = Trainer(plan)
    await trainer.start()
    return trainer


async def resume_with(
    id: str, trainer: Trainer, *, submit_again: bool = False, home: Path | str | None = None
) -> Trainer:
    """Take over a recorded run for `trainer`, which defines today what the run began with.

    Its callback sets are called, its options hold, and where the run was never accepted its
    dataset's token is sent; what is trained is what was recorded. Returns a trainer that is
    started. `home` is the store's folder; raises what `resume_run` raises.
    """
    plan = trainer.plan
    options = replace(plan.options, home=home or plan.options.home)
    row = open_journal(home_of(options)).row(id)
    own = partial(_resumed, row.run_id, submit_again)
    resumed = Trainer(replace(plan, name=row.name, own=own, options=options))
    await resumed.start()
    return resumed


async def adopt_job(id: str, job_id: str, *, options: TrainerOptions | None = None) -> Job:
    """Say that the job `job_id` is the one that a run in doubt submitted; recorded as a match.

    Raises `ConfigError` if the run has a job already, `RunOwnedError` if a living process is
    waiting on it, `CloudApiError` if there is no such job.
    """
    return await on_engine(_adopt_job(id, job_id, options or TrainerOptions()))


async def _adopt_job(id: str, job_id: str, options: TrainerOptions) -> Job:
    state = open_journal(home_of(options)).run(id)
    if state.job is not None:
        raise ConfigError(f"run {state.run_id} is job {state.job.id} already; nothing is in doubt")
    session = await _session_of(state, options)
    async with session, session.connect() as api:
        job = await api.get_job(session.scope, job_id)
        session.keep_token_of(job.config)
    provenance = await asyncio.to_thread(describe, None)
    run = _take_recorded(session, state, state.named, provenance, without_code=True)
    run.append([submitted(run, job, matched=True)], durable=True)
    run.rest()
    return job


async def resume_orphaned(
    *, callbacks: Callbacks = None, options: TrainerOptions | None = None
) -> list[TrainingResult]:
    """Finish every run of this project whose process died; their results, oldest first.

    For a server: call it once when it starts, beside its requests. A run that cannot be
    finished is logged, and does not keep the others from it.
    """
    options = options or TrainerOptions()
    left = orphans(options, project=project_root(options.cwd))
    finished = await asyncio.gather(*(_finish(run_id, callbacks, options) for run_id in left))
    return [result for result in finished if result is not None]


def orphans(options: TrainerOptions, *, project: Path | None = None) -> list[str]:
    """The run ids of unfinished runs whose process died, oldest first; of one project, or all.

    A run that came from a file is none of them: its process was another journal's.
    """
    owner, journal, now = current_owner(), open_journal(home_of(options)), time.time()
    found = []
    for row in reversed(journal.runs(project_root=project)):
        lease = None if row.settled or row.imported_at else journal.lease(row.run_id)
        if lease is not None and lease.gone(owner, now):
            found.append(row.run_id)
    return found


async def _finish(
    run_id: str, callbacks: Callbacks, options: TrainerOptions
) -> TrainingResult | None:
    try:
        trainer = await resume_run(run_id, callbacks=callbacks, options=options)
        return await trainer.wait()
    except ArkorError as error:
        log.warning("run %s was not finished: %s", run_id, error)
        return None


async def cancel_run(id: str, *, options: TrainerOptions | None = None) -> Job:
    """Ask the backend to stop a recorded run, whoever owns it; the job as it is then.

    Raises `JournalError` if the journal does not know it, `CloudApiError` if the backend
    refuses, such as for a run that has ended.
    """
    return await on_engine(_cancel(id, options or TrainerOptions()))


async def _cancel(id: str, options: TrainerOptions) -> Job:
    state = open_journal(home_of(options)).run(id)
    if state.job is None:
        raise JournalError(f"run {state.run_id} was never accepted: there is nothing to cancel")
    session = await _session_of(state, options)
    entry = entry_of(CancelRequested())
    open_writer(session.home).append(state.run_id, [entry], epoch=None, durable=False)
    async with session, session.connect() as api:
        await api.cancel_job(session.scope, state.job.id)
        return await api.get_job(session.scope, state.job.id)


async def _attached(job_id: str, plan: Plan) -> Submission:
    async with await open_session(plan.options) as session, session.connect() as api:
        job = await api.get_job(session.scope, job_id)
        session.keep_token_of(job.config)
    provenance = await asyncio.to_thread(describe, plan.entry, plan.consumers)
    writer = open_writer(session.home)
    salt = writer.salt
    with writer.transaction(durable=True) as tx:
        known = next(iter(tx.find_runs(job_id=job.id, **asdict(session.scope))), None)
        if known is not None:
            run_id, epoch = known.run_id, take(tx, known, plan.consumer_names, provenance)
        else:
            body = {**job.to_wire(), "config": without_token(job.config, salt)}
            note = Attached(
                job=body,
                base_url=session.address,
                org_slug=session.scope.org_slug,
                project_slug=session.scope.project_slug,
                project_root=str(session.root),
                consumers=plan.consumer_names,
                provenance=provenance,
            )
            run_id, epoch = _record(tx, note, job)
    run = open_run(session, run_id, epoch)
    return Submission(run, job.config, resumed=known is not None, sent=True)


def _record(tx: Transaction, note: Attached, job: Job) -> tuple[str, int]:
    row = NewRun(
        name=job.name,
        project_root=note.project_root,
        org_slug=note.org_slug,
        project_slug=note.project_slug,
        fingerprint=fingerprint(job.config),
        job_id=job.id,
        status=job.status,
    )
    made = tx.create_run(row, [entry_of(note)], current_owner())
    return made.run_id, made.epoch


async def _resumed(run_id: str, submit_again: bool, plan: Plan) -> Submission:
    state = open_journal(home_of(plan.options)).run(run_id)
    if state.status == "refused":
        raise ConfigError(
            f"the backend has refused run {run_id}: there is nothing to resume; start a new one"
        )
    config = _config_of(state, plan.spec)
    session = await _session_of(state, plan.options)
    session.keep_token_of(config)
    if plan.spec is not None and isinstance(plan.spec.dataset, BlobDataset):
        session.keep_secret(plan.spec.dataset.token or "")
    provenance = await asyncio.to_thread(describe, plan.entry, plan.consumers)
    run = _take_recorded(session, state, plan.consumer_names or state.named, provenance)
    return Submission(run, config, resumed=True, sent=not submit_again)


def _take_recorded(
    session: Session,
    state: RunState,
    consumers: tuple[str, ...],
    provenance: Mapping[str, Any],
    *,
    without_code: bool = False,
) -> OwnedRun:
    with open_writer(session.home).transaction(durable=True) as tx:
        (row,) = tx.find_runs(run_id=state.run_id)
        epoch = take(tx, row, consumers, provenance, without_code=without_code)
    return open_run(session, state.run_id, epoch)


def _config_of(state: RunState, spec: TrainingSpec | None) -> Mapping[str, Any]:
    """The config to submit a recorded wish with, should the backend not have accepted it.

    The journal keeps no token, so that of today's dataset is taken, if it is the same dataset.
    """
    if state.job is not None or not _token_in(state.config):
        return state.config
    source = state.config["datasetSource"]
    dataset = spec.dataset if spec else None
    if isinstance(dataset, BlobDataset) and dataset.token and dataset.url == source.get("url"):
        return {**state.config, "datasetSource": {**source, "token": dataset.token}}
    raise ConfigError(
        f"run {state.run_id} was not accepted before its process died, and the journal keeps "
        "no dataset token; start it again from its own script, with the same dataset",
        field="dataset.token",
    )


def _token_in(config: Mapping[str, Any]) -> str | None:
    source = config.get("datasetSource")
    return source.get("token") if isinstance(source, Mapping) else None


async def _session_of(state: RunState, options: TrainerOptions) -> Session:
    wish = state.wish
    assert wish is not None, "every log begins with a wish, or with an attachment"
    return await reopen_session(
        options,
        root=Path(wish.project_root),
        address=wish.base_url,
        scope=Scope(wish.org_slug, wish.project_slug),
    )
