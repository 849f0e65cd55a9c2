"""The queue of jobs beside a database that fails for a moment."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from serving import config_of

from arkor.backend import job_queue
from arkor.backend.folder import Folder
from arkor.backend.job_queue import JobQueue
from arkor.backend.jobs import Jobs, Project
from arkor.backend.submission import accept

TRAINER = (sys.executable, str(Path(__file__).parent / "workers" / "trainer.py"))


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
        yield queue, jobs, jobs.create_project("demo", "demo")
    finally:
        await queue.close()
        jobs.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


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
            job, _ = accept(
                {"name": "job", "config": config_of(steps=1)},
                key=None,
                project=project,
                jobs=jobs,
                folder=folder,
            )
            queue.wake()
            await until(lambda: jobs.unfinished() == [])
            ended = jobs.get(job.id)
            assert ended is not None
            assert ended.status == "completed"

    asyncio.run(scene())
