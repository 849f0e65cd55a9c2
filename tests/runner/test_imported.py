"""A run that came from a file: evidence to replay, and nobody's to go on with unasked."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, STARTED, child, log, options, trainer

from arkor.runner.options import TrainerOptions
from arkor.runner.replay import ReplayReport, replay
from arkor.runner.takeover import orphans, resume_orphaned, resume_run
from arkor.store.importing import import_run
from arkor.store.journal import Journal, open_journal
from arkor.store.writer import open_writer
from arkor.testing.backend import ScriptedBackend


@pytest.fixture
def elsewhere(project: Path, tmp_path: Path) -> Iterator[Path]:
    """The store's folder of another machine, on which the same project lies."""
    home = tmp_path / "elsewhere"
    yield home
    open_writer(home).close()


def move(run_id: str, to: Path) -> Journal:
    """Export the run here, and import it there."""
    written = b"".join(open_journal().export(run_id))
    import_run(open_writer(to), io.BytesIO(written), "run.jsonl")
    return open_journal(to)


def callbacks(seen: list[Any]) -> dict[str, Any]:
    async def on_log(ctx: Any) -> None:
        seen.append((ctx.step, ctx.loss, await ctx.once("half", lambda: ctx.step / 2)))

    return {"on_log": on_log, "on_completed": lambda ctx: seen.append(len(ctx.artifacts))}


def replayed(run_id: str, home: Path | None) -> tuple[ReplayReport, list[Any]]:
    seen: list[Any] = []
    return asyncio.run(replay(run_id, callbacks(seen), home=home)), seen


def test_its_callbacks_are_replayed_as_where_it_ran(elsewhere: Path) -> None:
    seen: list[Any] = []
    with ScriptedBackend([STARTED, log(1, loss=0.5), log(2), COMPLETED]) as backend:
        run = trainer(backend, callbacks(seen))
        assert run.wait_sync().succeeded
    journal = move(run.run_id or "", elsewhere)
    here, there = (replayed(run.run_id or "", home) for home in (None, elsewhere))
    assert here == there
    assert there == (there[0], seen)
    assert there[0].ok
    assert len(there[0].calls) == 3
    assert journal.run("@last") == open_journal().run("@last")
    assert journal.verify("@last", open_journal().run("@last").head.hex()).ok


def left_behind(backend: ScriptedBackend, project: Path, elsewhere: Path) -> tuple[str, Journal]:
    """A run whose process ended without waiting for it, moved elsewhere."""
    ended = child(backend, project, "trainer().start_sync()")
    assert ended.returncode == 0, ended.stderr
    run_id = open_journal().resolve("@last")
    return run_id, move(run_id, elsewhere)


def there(backend: ScriptedBackend, elsewhere: Path) -> TrainerOptions:
    return options(backend, home=elsewhere)


def test_start_submits_one_of_its_own(project: Path, elsewhere: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run_id, _ = left_behind(backend, project, elsewhere)
        run = trainer(backend, options=there(backend, elsewhere))
        started = run.start_sync()
        assert (started.resumed, len(backend.jobs)) == (False, 2)
        assert run.run_id != run_id
        assert trainer(backend).start_sync().resumed
        run.wait_sync()


def test_its_key_is_free(project: Path, elsewhere: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run = trainer(backend, run_key="nightly")
        run.wait_sync()
        move(run.run_id or "", elsewhere)
        own = trainer(backend, run_key="nightly", options=there(backend, elsewhere))
        assert own.wait_sync().succeeded
        assert len(backend.jobs) == 2
        assert own.run_id != run.run_id


def test_nobody_finishes_it_with_the_orphans(project: Path, elsewhere: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run_id, _ = left_behind(backend, project, elsewhere)
        given = there(backend, elsewhere)
        assert orphans(given) == []
        assert asyncio.run(resume_orphaned(options=given)) == []
        assert orphans(options(backend)) == [run_id]


def test_who_asks_for_it_by_name_goes_on_with_it(project: Path, elsewhere: Path) -> None:
    attempts: list[int] = []
    with ScriptedBackend([STARTED, log(1), COMPLETED]) as backend:
        run_id, journal = left_behind(backend, project, elsewhere)
        known = journal.run(run_id).head

        async def finish() -> bool:
            on_log = {"on_log": lambda ctx: attempts.append(ctx.attempt)}
            run = await resume_run(run_id, callbacks=on_log, options=there(backend, elsewhere))
            return (await run.wait()).succeeded

        assert asyncio.run(finish())
        assert len(backend.jobs) == 1
    row = journal.row(run_id)
    assert (row.settled, row.status, row.run_key) == (True, "completed", None)
    assert row.imported_at is not None
    assert attempts == [2]  # where it ran, the call may have been under way
    report = journal.verify(run_id, known.hex())
    assert report.ok
    assert (report.anchored_seq or 0) < report.records
