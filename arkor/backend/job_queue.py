"""The jobs that wait, and the few (one, by default) that train."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from arkor.backend.folder import Folder
from arkor.backend.jobs import Jobs
from arkor.backend.submission import drop_unknown, forget_token
from arkor.backend.training import Training
from arkor.core.wire import Job
from arkor.errors import ArkorError

__all__ = ["JobQueue"]

log = logging.getLogger("arkor.backend")

RETRY_INTERVAL: Final = 2.0
"""Seconds until the jobs are looked at again after the database failed."""


class JobQueue:
    """Trains what is stored as unfinished, in its order, `slots` jobs at a time.

    A job that ran when an earlier server died is unfinished, so it goes on first.
    """

    def __init__(
        self, jobs: Jobs, folder: Folder, command: Sequence[str], *, grace: float, slots: int = 1
    ) -> None:
        self._jobs = jobs
        self._folder = folder
        self._command = command
        self._grace = grace
        self._slots = slots
        self._news = asyncio.Event()
        self._active: dict[str, Training] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Begin with the work, and with what a killed server may have left undone."""
        self._folder.drop_begun()
        drop_unknown(self._folder, self._jobs)
        for job in self._jobs.ended():
            forget_token(self._folder, job)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._slots)]

    def wake(self) -> None:
        """A job was accepted."""
        self._news.set()

    def cancel(self, job: Job) -> None:
        """End a job: one that waits at once, one that trains as soon as it has saved."""
        self._jobs.request_cancel(job.id)
        if training := self._active.get(job.id):
            training.cancel()
        else:
            self._jobs.mark_cancelled(job.id)
            forget_token(self._folder, job)

    def kill(self) -> None:
        """Wait no longer for the training processes that are saving."""
        for training in self._active.values():
            training.kill()

    async def close(self) -> None:
        """Have all training processes save and end. Their jobs go on at the next start."""
        self._closing = True
        self._news.set()
        for training in self._active.values():
            training.stop()
        await asyncio.gather(*self._tasks)

    async def _work(self) -> None:
        while not self._closing:
            self._news.clear()
            try:
                await self._train_next()
            except ArkorError as error:
                # Nothing is lost: what is unfinished stays so until it is known how it ended.
                log.error("the jobs wait: %s", error)
                await self._wait(RETRY_INTERVAL)

    async def _train_next(self) -> None:
        waiting = [job for job in self._jobs.unfinished() if job not in self._active]
        if waiting:
            await self._train(waiting[0])
        else:
            await self._wait()

    async def _wait(self, most: float | None = None) -> None:
        """Wait for a job that is accepted or the end of the queue, `most` seconds at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), most)

    async def _train(self, job_id: str) -> None:
        training = Training(
            job_id,
            jobs=self._jobs,
            folder=self._folder,
            command=self._command,
            grace=self._grace,
        )
        self._active[job_id] = training
        try:
            await training.run()
        except ArkorError:
            raise
        except Exception as error:
            # One job's trouble must not end the queue; the job stays with it until it is told.
            log.exception("job %s cannot be trained", job_id)
            if not self._closing:
                failed = {"type": "training.failed", "error": f"the backend failed: {error}"}
                self._jobs.append(job_id, failed)
        finally:
            del self._active[job_id]
