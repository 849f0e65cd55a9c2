"""The end of a run that no event tells: the job itself is asked, and its answer recorded."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from arkor.client.retry import Backoff, classify
from arkor.core.notes import Reconciled, entry_of
from arkor.core.redact import without_token
from arkor.core.wire import Job
from arkor.errors import BackendUnreachableError, CloudApiError, ProtocolError
from arkor.runner.ownership import OwnedRun

__all__ = ["CANCELLED", "Ending"]

log = logging.getLogger("arkor")

CANCELLED: Final = "a cancel request"
"""Why a job was asked."""


@dataclass(slots=True)
class Ending:
    """Whether a run's job has ended, and the record of that. `appended` is called after it.

    A job that was cancelled, or whose stream fell silent, may have ended while its last events
    are still on their way. It is then `known` to have ended, and that is recorded by `settle`
    when the stream has brought them.
    """

    run: OwnedRun
    appended: Callable[[], None]
    known: asyncio.Event = field(default_factory=asyncio.Event)
    _job: Job | None = None
    _cause: str = ""

    async def look(self, cause: str) -> bool:
        """Whether the job has ended; then that is recorded. Raises for a final refusal only."""
        job = await self._fetch()
        if job is not None:
            self._record(job, cause)
        return self.run.state.terminal

    async def learn(self, cause: str) -> None:
        """Ask the job. If it has ended, that is known from now on, and not yet recorded."""
        job = await self._fetch()
        if job is not None and not self.known.is_set():
            self._job, self._cause = job, cause
            self.known.set()

    async def await_known(self) -> None:
        """Return when the job is known to have ended; after a cancel request it is asked."""
        await _either(self.run.cancelled, self.known)
        options = self.run.session.options
        pause = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        while not self.known.is_set():
            await self.learn(CANCELLED)
            if not self.known.is_set():
                await asyncio.sleep(pause.next_delay())

    def settle(self) -> None:
        """Record the end that is known: the stream has no more to say."""
        if self._job is not None:
            self._record(self._job, self._cause)

    async def _fetch(self) -> Job | None:
        """The job if it has ended; `None` if it has not, or cannot be asked at the moment."""
        session = self.run.session
        try:
            async with session.connect() as api:
                job = await api.get_job(session.scope, self.run.job_id)
                session.keep_token_of(job.config)
        except CloudApiError as error:
            if classify(error.status) == "final":
                raise
            log.info("job %s could not be fetched: %s", self.run.job_id, error)
        except (BackendUnreachableError, ProtocolError) as error:
            log.info("job %s could not be fetched: %s", self.run.job_id, error)
        else:
            return job if job.terminal else None
        return None

    def _record(self, job: Job, cause: str) -> None:
        if self.run.state.terminal:
            return
        body = {**job.to_wire(), "config": without_token(job.config, self.run.salt)}
        self.run.append([entry_of(Reconciled(body, cause))], durable=True)
        self.appended()


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
