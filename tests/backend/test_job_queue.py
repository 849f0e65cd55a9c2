"""The queue of jobs beside a database, a disk and an earlier server that failed it."""

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from serving import config_of

from arkor.backend import job_queue
from arkor.backend.folder import Folder, new_file, write_private
from arkor.backend.job_queue import JobQueue
from arkor.backend.jobs import Jobs, Project
from arkor.backend.submission import accept
from arkor.core.wire import Job
from arkor.errors import ArkorError

TRAINER = (sys.executable, str(Path(__file__).parent / "workers" / "trainer.py"))
SECRET = {"type": "blob", "url": "https://x.example/d.jsonl", "token": "secret-of-the-dataset"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "backend")
    made.create()
    return made


@contextlib.asynccontextmanager
async def working(folder: Folder) -> AsyncIterator[tuple[JobQueue, Jobs, Project]]:
    """A queue that works, and its jobs."""
    jobs = Jobs(folder.database)
    queue = JobQueue(jobs, folder, TRAINER, grace=1.0)
    queue.start()
    try:
        yield queue, jobs, (jobs.projects() or [jobs.create_project("demo", "demo")])[0]
    finally:
        await queue.close()
        jobs.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def submit(jobs: Jobs, project: Project, folder: Folder, **config: Any) -> Job:
    body = {"name": "job", "config": config_of(**config)}
    return accept(body, key=None, project=project, jobs=jobs, folder=folder)[0]


def test_the_queue_outlives_a_database_that_fails(folder, caplog, monkeypatch) -> None:
    monkeypatch.setattr(job_queue, "RETRY_INTERVAL", 0.05)

    async def scene() -> None:
        async with working(folder) as (queue, jobs, project):
            await asyncio.sleep(0)
            database = sqlite3.connect(folder.database)
            database.execute("ALTER TABLE jobs RENAME TO hidden")
            queue.wake()
            await until(lambda: "the jobs wait" in caplog.text)
            database.execute("ALTER TABLE hidden RENAME TO jobs")
            database.close()
            job = submit(jobs, project, folder, steps=1)
            queue.wake()
            await until(lambda: jobs.unfinished() == [])
            ended = jobs.get(job.id)
            assert ended is not None
            assert ended.status == "completed"

    asyncio.run(scene())


def test_of_a_job_that_cannot_be_stored_nothing_is_left(folder) -> None:
    jobs = Jobs(folder.database)
    project = jobs.create_project("demo", "demo")
    database = sqlite3.connect(folder.database, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArkorError, match="database is locked"):
        submit(jobs, project, folder, datasetSource=SECRET)
    database.close()
    assert not list(folder.jobs.iterdir())
    assert submit(jobs, project, folder, datasetSource=SECRET).status == "queued"
    jobs.close()


def test_what_a_killed_server_left_is_cleared_away(folder) -> None:
    """Orders of jobs that nobody accepted, and files that are not whole, may hold tokens."""
    (folder.datasets / ".new.1").touch()
    (folder.path / ".new.2").touch()
    for name in ("empty", "ordered", "trained"):
        folder.create_job(name)
    for name in ("ordered", "trained"):
        write_private(folder.job(name) / "job.json", b"{}")
    (folder.job("trained") / "adapter").mkdir()
    (folder.job("trained") / ".new.3").touch()
    (folder.jobs / "a stray file").touch()

    async def scene() -> None:
        async with working(folder):
            assert [path.name for path in folder.jobs.glob("*/")] == ["trained"]
            assert not list(folder.path.rglob(".new.*"))

    asyncio.run(scene())


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_damaged_order_keeps_no_server_from_starting(folder, damage) -> None:
    jobs = Jobs(folder.database)
    job = submit(jobs, jobs.create_project("demo", "demo"), folder, datasetSource=SECRET)
    order = folder.job(job.id) / "job.json"
    order.write_bytes(damage)
    jobs.mark_cancelled(job.id)
    jobs.close()

    async def scene() -> None:
        async with working(folder):
            assert json.loads(order.read_bytes())["config"] == job.config

    asyncio.run(scene())


def test_an_order_that_cannot_be_written_keeps_no_server_from_starting(folder, caplog) -> None:
    jobs = Jobs(folder.database)
    job = submit(jobs, jobs.create_project("demo", "demo"), folder, datasetSource=SECRET)
    (folder.job(job.id) / "job.json").unlink()
    (folder.job(job.id) / "job.json").mkdir()
    jobs.mark_cancelled(job.id)
    jobs.close()

    async def scene() -> None:
        async with working(folder):
            assert "its dataset's token is still in" in caplog.text

    asyncio.run(scene())


def test_a_file_that_fails_in_the_middle_leaves_the_one_before(tmp_path) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")
    with pytest.raises(RuntimeError), new_file(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
