"""One job in one training process: what the process writes becomes the job's events."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from arkor.backend.folder import Folder
from arkor.backend.jobs import Jobs
from arkor.backend.process import Worker, describe_end
from arkor.backend.submission import forget_token
from arkor.errors import ArkorError

__all__ = ["Training"]

log = logging.getLogger("arkor.backend")

RETRY_INTERVAL: Final = 2.0
"""Seconds between two tries to store an event; the training process waits meanwhile."""

T = TypeVar("T")


class Training:
    """The job `job_id` while a process trains it.

    `command` is the training process's, which gets the job's folder as its last argument.
    `grace` is how many seconds it has to save and end when it is asked to.
    """

    def __init__(
        self, job_id: str, *, jobs: Jobs, folder: Folder, command: Sequence[str], grace: float
    ) -> None:
        self.job_id = job_id
        self._jobs = jobs
        self._folder = folder
        self._command = command
        self._grace = grace
        self._worker: Worker | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stopping = False
        self._ending = False
        self._saved = False

    def cancel(self) -> None:
        """Have the process save and end; the job, whose wish to end is stored, ends with it."""
        self._end_worker()

    def stop(self) -> None:
        """Have the process save and end; the job goes on when the server is back."""
        self._stopping = True
        self._end_worker()

    def kill(self) -> None:
        """End the process without its saving anything more."""
        if self._worker is not None:
            self._worker.kill()

    async def run(self) -> None:
        """Train until the process has ended, and with it, mostly, the job.

        A job whose process was told to end by somebody else, as a system that shuts down does,
        stays unfinished: it is to be trained again.
        """
        if not await self._cancel_requested():
            try:
                await self._work()
            except (OSError, ValueError) as error:
                await self._fail(f"the training process could not be used: {error}")
            finally:
                self._clean_up()
        if await self._cancel_requested():
            await self._insist(lambda: self._jobs.mark_cancelled(self.job_id))
        job = await self._insist(lambda: self._jobs.get(self.job_id))
        if job is not None and job.terminal:
            forget_token(self._folder, job)
            # A name is a client's text: as it is, it could look like lines of this log.
            log.info("job %s (%.80r): %s", job.id, job.name, job.status)

    async def _work(self) -> None:
        job = self._folder.job(self.job_id)
        worker = await Worker.start(
            [*self._command, str(job)], log=job / "trainer.log", lock=job / "lock"
        )
        self._worker = worker
        if self._ending:
            self._end_worker()
        await self._insist(lambda: self._jobs.mark_running(self.job_id))
        async for line in worker.lines():
            await self._take(line)
        code = await worker.wait()
        if self._saved or code == -signal.SIGTERM:
            log.info("job %s: the training process was told to end", self.job_id)
        elif not self._ending:
            end = f"the training process {describe_end(code)} before it had finished"
            await self._fail(f"{end}; nothing of it runs any more. {worker.tail()}".rstrip())

    async def _take(self, line: Mapping[str, Any]) -> None:
        kind = line.get("type")
        if kind == "cancelled":
            self._saved = True
        elif isinstance(kind, str):
            await self._insist(lambda: self._jobs.append(self.job_id, line))
            if kind in ("training.completed", "training.failed"):
                self._expect_end()
        else:
            raise ValueError(f"it wrote a line without a `type`: {str(line)[:80]}")

    async def _cancel_requested(self) -> bool:
        return await self._insist(lambda: self._jobs.cancel_requested(self.job_id))

    async def _fail(self, sentence: str) -> None:
        event = {"type": "training.failed", "error": sentence}
        await self._insist(lambda: self._jobs.append(self.job_id, event))

    async def _insist(self, change: Callable[[], T]) -> T:
        """Make a change, again and again if the disk is full: an event is never dropped."""
        while True:
            try:
                return change()
            except ArkorError as error:
                if self._stopping:
                    raise
                log.error("job %s waits: %s", self.job_id, error)
                await asyncio.sleep(RETRY_INTERVAL)

    def _end_worker(self) -> None:
        self._ending = True
        if self._worker is not None:
            self._worker.terminate()
            self._expect_end()

    def _expect_end(self) -> None:
        if self._worker is not None and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._grace, self._worker.kill)

    def _clean_up(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._worker is not None:
            # Whatever the reason for leaving, nothing of the job keeps the machine busy.
            self._worker.kill()
