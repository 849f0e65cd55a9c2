"""Runs of an earlier process, of a key, and of somebody else."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, STARTED, child, log, options, trainer

from arkor.errors import CloudApiError, ConfigError, RunOwnedError
from arkor.runner.callbacks import TrainerCallbacks
from arkor.runner.takeover import (
    attach,
    cancel_run,
    orphans,
    resume_orphaned,
    resume_run,
    resume_with,
)
from arkor.runner.trainer import Trainer
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Until

pytestmark = pytest.mark.usefixtures("project")


def leave_behind(backend: ScriptedBackend, project: Path, *names: str) -> None:
    """Start runs in another process, which ends without waiting for them."""
    code = f"for name in {names!r}: trainer(name).start_sync()"
    ended = child(backend, project, code)
    assert ended.returncode == 0, ended.stderr


def test_a_run_whose_process_ended_is_adopted(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        leave_behind(backend, project, "a run")
        run = trainer(backend)
        assert run.start_sync().resumed
        assert run.wait_sync().succeeded
        assert len(backend.jobs) == 1


def test_the_oldest_orphan_first(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        leave_behind(backend, project, "a run", "another")
        leave_behind(backend, project, "another")
        first = trainer(backend, name="another")
        assert first.start_sync().job_id == "job-2"


@pytest.mark.parametrize(
    "given", [{"resume": "never"}, {"name": "other"}, {"max_steps": 7}], ids=str
)
def test_another_wish_gets_a_run_of_its_own(project: Path, given: dict[str, Any]) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        leave_behind(backend, project, "a run")
        started = trainer(backend, **given).start_sync()
        assert (started.resumed, len(backend.jobs)) == (False, 2)


def test_a_living_process_keeps_its_run() -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        ours, other = trainer(backend), trainer(backend)
        assert ours.start_sync().job_id != other.start_sync().job_id


def test_a_key_means_one_run_for_ever(project: Path) -> None:
    seen: list[str] = []
    callbacks = TrainerCallbacks(on_completed=lambda ctx: seen.append(ctx.job.id))
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        first = trainer(backend, callbacks, run_key="nightly-2026-11-24")
        assert first.wait_sync().succeeded
        again = trainer(backend, callbacks, run_key="nightly-2026-11-24")
        assert again.wait_sync().succeeded
        assert again.job_id == first.job_id
        assert trainer(backend, callbacks, run_key="nightly-2026-11-25").start_sync().job_id == (
            "job-2"
        )
    assert seen == ["job-1"]


def test_the_run_of_a_key_belongs_to_its_living_owner() -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        trainer(backend, run_key="key").start_sync()
        with pytest.raises(RunOwnedError, match="process"):
            trainer(backend, run_key="key").start_sync()


def test_a_hook_that_raised_after_the_end_does_not_stop_tomorrows_run(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
def broken(ctx): raise RuntimeError("hook")
trainer(on_completed=broken).wait_sync()
"""
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        assert "RuntimeError: hook" in child(backend, project, code).stderr
        run = trainer(backend)
        assert not run.start_sync().resumed
        assert "arkor resume" in caplog.text
        assert run.wait_sync().succeeded
        assert len(backend.jobs) == 2


def test_attach_records_the_whole_history_of_somebody_elses_run() -> None:
    seen: list[str] = []
    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        submitted = trainer(backend)
        submitted.start_sync()
        job = dict(backend.jobs["job-1"], id="job-9", name="theirs")
        backend.jobs["job-9"] = job

        async def main() -> str:
            run = await attach(
                "job-9",
                callbacks={"on_event": lambda ctx: seen.append(ctx.event.type)},
                options=options(backend),
            )
            assert (run.job_id, run.run_id is not None) == ("job-9", True)
            return (await run.wait()).status

        assert asyncio.run(main()) == "completed"
        with pytest.raises(CloudApiError):
            asyncio.run(attach("nothing", options=options(backend)))
    assert seen == ["training.started", "training.log", "training.completed"]
    first = next(open_journal().records(open_journal().resolve("job-9")))
    assert first.type == "arkor.attached"
    assert json.loads(first.data)["job"]["name"] == "theirs"


def test_a_server_finishes_what_its_last_process_left(project: Path) -> None:
    seen: list[str] = []
    callbacks = TrainerCallbacks(on_completed=lambda ctx: seen.append(ctx.job.name))
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        leave_behind(backend, project, "one", "two")
        busy = trainer(backend, name="ours")
        busy.start_sync()
        results = asyncio.run(resume_orphaned(callbacks=callbacks, options=options(backend)))
        assert [result.job.name for result in results] == ["one", "two"]
        assert len(backend.jobs) == 3
    assert sorted(seen) == ["one", "two"]
    assert [row.settled for row in open_journal().runs()] == [False, True, True]


def test_a_run_of_another_backend_is_left_alone(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as ours, ScriptedBackend([STARTED]) as theirs:
        leave_behind(theirs, project, "theirs")
        leave_behind(ours, project, "ours")
        before = len(theirs.requests)
        results = asyncio.run(resume_orphaned(options=options(ours)))
        assert [result.job.name for result in results] == ["ours"]
        (run_id,) = orphans(options(ours), project=project)
        for ask in (
            lambda: resume_run(run_id, options=options(ours)),
            lambda: cancel_run(run_id, options=options(ours)),
        ):
            with pytest.raises(ConfigError, match=f"recorded at '{theirs.url}'"):
                asyncio.run(ask())
        assert len(theirs.requests) == before
        assert all("job-2" not in request.path for request in ours.requests)
    assert f"run {run_id} was not finished: the run was recorded at" in caplog.text
    assert not open_journal().run(run_id).cancel_requested


def test_a_run_is_found_in_the_store_that_the_project_sets(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARKOR_HOME")
    (project / "pyproject.toml").write_text("[tool.arkor]\nhome = 'store'\n")
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        leave_behind(backend, project, "one", "two", "three")
        given = options(backend)
        first, second, third = orphans(given, project=project)
        assert asyncio.run(cancel_run(first, options=given)).status == "cancelled"

        async def follow() -> str:
            return (await (await resume_run(second, options=given)).wait()).status

        assert asyncio.run(follow()) == "completed"
        again = trainer(backend, name="three")
        asyncio.run(resume_with(third, again))
        ends = asyncio.run(resume_orphaned(options=given))
        assert len(ends) == 1
    assert (project / "store" / "arkor.db").is_file()


def test_cancel_reaches_a_run_of_any_process(project: Path) -> None:
    with ScriptedBackend([STARTED]) as backend:
        leave_behind(backend, project, "a run")
        job = asyncio.run(cancel_run("job-1", options=options(backend)))
        assert job.status == "cancelled"
        assert trainer(backend).wait_sync().status == "cancelled"
    assert "arkor.cancel.requested" in [
        each.type for each in open_journal().records(open_journal().resolve("@last"))
    ]


def test_a_new_process_rebuilds_a_stateful_set_from_every_record(project: Path) -> None:
    checkpoint, held = {"type": "checkpoint.saved", "step": 1}, threading.Event()
    events = [STARTED, log(1), checkpoint, log(2), Until(held), COMPLETED]
    with ScriptedBackend(events) as backend:
        code = """
def on_log(ctx):
    if ctx.step == 2:
        raise SystemExit(3)
trainer(on_log=on_log, on_checkpoint=lambda ctx: None, replays=True).wait_sync()
"""
        assert child(backend, project, code).returncode == 3
        held.set()
        calls: list[tuple[int, bool, int]] = []
        stateful = TrainerCallbacks(
            on_log=lambda ctx: calls.append((ctx.step, ctx.replaying, ctx.attempt)), replays=True
        )
        run = trainer(backend, stateful)
        assert run.wait_sync().succeeded
    assert calls == [(1, True, 1), (2, False, 2)]


def test_a_second_wait_does_not_rebuild_what_is_there(project: Path) -> None:
    steps: list[int] = []
    broken = [True]

    def hook(ctx: Any) -> None:
        if ctx.step == 2 and broken.pop():
            raise ValueError("once")

    sets = [
        TrainerCallbacks(name="sum", on_log=lambda ctx: steps.append(ctx.step), replays=True),
        TrainerCallbacks(name="hook", on_log=hook),
    ]
    events = [STARTED, log(1), log(2), log(3), COMPLETED]
    with ScriptedBackend(events) as backend:
        run = trainer(backend, sets)
        with pytest.raises(ValueError, match="once"):
            run.wait_sync()
        broken.append(False)
        assert run.wait_sync().succeeded
    assert steps == [1, 2, 3]


def test_a_follower_reads_a_run_to_its_end_beside_its_owner() -> None:
    async def follow(run_id: str) -> list[str]:
        return [record.type async for record in open_journal().follow(run_id)]

    async def main(run: Trainer) -> tuple[list[str], str]:
        started = await run.start()
        following = asyncio.create_task(follow(started.run_id))
        result = await run.wait()
        return await following, result.status

    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        run = trainer(backend, {"on_completed": lambda ctx: None})
        types, status = asyncio.run(main(run))
    assert status == "completed"
    assert types == [each.type for each in open_journal().records(run.run_id or "")]


def test_a_run_of_another_backend_is_not_adopted(project: Path) -> None:
    with ScriptedBackend([STARTED]) as first, ScriptedBackend([STARTED, COMPLETED]) as second:
        leave_behind(first, project, "a run")
        started = trainer(second).start_sync()
        assert (started.resumed, len(second.jobs)) == (False, 1)
        trainer(first, run_key="key").start_sync()
        with pytest.raises(ConfigError, match="another key"):
            trainer(second, run_key="key").start_sync()
