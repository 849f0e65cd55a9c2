"""Wire to journal: what a run's stream brings is durable before anybody acts on it.

Runs on Arkor's thread, one per run that is waited for, until the log holds the run's end. It
only ever writes the log; who wants to know reads it there.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from arkor.client.retry import Backoff, classify
from arkor.client.stream import EventStream, NoStreamError, StreamError, open_events
from arkor.core.notes import Reconciled, StreamClosed, StreamOpened, entry_of
from arkor.core.redact import without_token
from arkor.errors import (
    ArkorError,
    BackendUnreachableError,
    CloudApiError,
    ProtocolError,
    StreamExhaustedError,
)
from arkor.runner.intake import Intake, Taken
from arkor.runner.ownership import OwnedRun

__all__ = ["Ingest"]

log = logging.getLogger("arkor")

FAILURES_BEFORE_A_LOOK: Final = 5
"""Failures in a row after which the job itself is asked whether it has ended."""


@dataclass(slots=True)
class Ingest:
    """Follows one run's stream into its log. `appended` is called after each append.

    `start` and `stop` are for Arkor's thread; what ended it is told to the caller's.
    """

    run: OwnedRun
    appended: Callable[[], None]
    _backoff: Backoff = field(init=False)
    _refreshed: bool = False
    _missing_since: float | None = None
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        options = self.run.session.options
        self._backoff = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        if self.run.state.cancel_requested:
            self.run.cancelled.set()

    async def start(self) -> None:
        """Begin to follow; `appended` is called once more when that has ended."""
        self._task = asyncio.create_task(self.follow())
        self._task.add_done_callback(lambda _: self.appended())

    async def stop(self) -> None:
        """Stop, and return when nothing more will be appended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def ended(self) -> bool:
        """Whether nothing more will be appended. May be asked from any thread."""
        return self._task is not None and self._task.done()

    def raise_for_failure(self) -> None:
        """Raise what ended it before the run's end, if anything did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def follow(self) -> None:
        """Record the stream until the run's end is in the log, across disconnects.

        Raises `CloudApiError` for a refusal that no retry mends, `StreamExhaustedError` when
        the options' limit of failures in a row is passed, `JournalError` when the log cannot
        be written.
        """
        tasks = [asyncio.create_task(self._stream()), asyncio.create_task(self._watch_cancel())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stream(self) -> None:
        while not self.run.state.terminal:
            await self._connect()

    async def _watch_cancel(self) -> None:
        """After a cancel request, look whether the job has ended: no event tells it."""
        await self.run.cancelled.wait()
        options = self.run.session.options
        pause = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        ended = await self._look("a cancel request")
        while not ended:
            await asyncio.sleep(pause.next_delay())
            ended = await self._look("a cancel request")

    async def _connect(self) -> None:
        """Make one connection and record what it brings, then pause as its end demands."""
        intake = self._intake()
        try:
            ended = await self._record(intake)
        except NoStreamError:
            self._closed(intake, "the backend has no stream for this job")
            await self._settle_or_fail("no stream")
        except CloudApiError as error:
            self._closed(intake, f"refused with status {error.status}")
            await self._refused(error)
        except (BackendUnreachableError, ProtocolError, StreamError) as error:
            self._closed(intake, str(error))
            self.run.session.lost()
            await self._failed(error)
        else:
            await self._after(intake, ended)

    async def _after(self, intake: Intake, ended: bool) -> None:
        """Go on after a connection that the backend closed, or ended, in good order."""
        self._closed(intake, "end" if ended else "closed by the backend")
        if self.run.state.terminal:
            return
        if ended:
            await self._settle_or_fail("end")
        elif intake.events:
            # A clean close after data is no failure: the first delay, and no count.
            await asyncio.sleep(self._backoff.first)
        else:
            await self._failed(ProtocolError("the stream closed without any event"))

    async def _record(self, intake: Intake) -> bool:
        """Append what a connection brings. The answer says whether it ended by an `end`."""
        session = self.run.session
        last_id = self.run.state.last_event_id
        async with (
            session.connect() as api,
            open_events(
                api,
                session.scope,
                self.run.job_id,
                last_event_id=last_id,
                idle_timeout=session.options.idle_timeout,
            ) as stream,
        ):
            self._missing_since = None
            intake.secrets = session.secrets
            self.run.append([entry_of(StreamOpened(last_id))], durable=False)
            return await self._batches(stream, intake)

    async def _batches(self, stream: EventStream, intake: Intake) -> bool:
        async for frames in stream.batches():
            if stream.retry_ms is not None:
                self._backoff.set_first(stream.retry_ms)
            taken = intake.take(frames)
            self._append(taken)
            if taken.progress:
                self._backoff.reset()
                self._refreshed = False
            if taken.ended or self.run.state.terminal:
                return taken.ended
        return False

    def _append(self, taken: Taken) -> None:
        if taken.entries:
            self.run.append(taken.entries, durable=True)
            self.appended()

    async def _refused(self, error: CloudApiError) -> None:
        missing = self._missing_for(error)
        match classify(error.status, missing_for=missing, refreshed=self._refreshed):
            case "reconcile":
                await self._settle_or_fail(f"status {error.status}", error)
            case "retry":
                await self._failed(error)
            case "refresh" if await self.run.session.refresh():
                # One more try with a fresh token; a second 401 in a row is final.
                self._refreshed = True
            case _:
                raise error

    def _missing_for(self, error: CloudApiError) -> float:
        if error.status != 404:
            return 0.0
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        return now - self._missing_since

    async def _settle_or_fail(self, cause: str, error: ArkorError | None = None) -> None:
        if not await self._look(cause):
            await self._failed(error or ProtocolError(f"the stream ended ({cause}) too early"))

    async def _failed(self, error: ArkorError) -> None:
        """Count one failure and wait before the next try. Raises if there are no more tries."""
        limit = self.run.session.options.max_reconnect_attempts
        if limit is not None and self._backoff.failures >= limit:
            raise StreamExhaustedError(
                f"the event stream of job {self.run.job_id} failed {limit + 1} times in a row; "
                "the run may go on and use a GPU: call wait() again, or "
                f"`arkor cancel {self.run.run_id}`"
            ) from error
        retry_after = error.retry_after if isinstance(error, CloudApiError) else None
        delay = self._backoff.next_delay(retry_after)
        failures = self._backoff.failures
        if failures % FAILURES_BEFORE_A_LOOK == 0 and await self._look(f"{failures} failures"):
            return
        log.info("job %s: %s; next try in %.1f s", self.run.job_id, error, delay)
        await asyncio.sleep(delay)

    async def _look(self, cause: str) -> bool:
        """Whether the job has ended; then that is recorded. Raises for a final refusal only."""
        try:
            return await self._reconcile(cause)
        except CloudApiError as error:
            if classify(error.status) == "final":
                raise
            log.info("job %s could not be fetched: %s", self.run.job_id, error)
        except (BackendUnreachableError, ProtocolError) as error:
            log.info("job %s could not be fetched: %s", self.run.job_id, error)
        return False

    async def _reconcile(self, cause: str) -> bool:
        """Fetch the job; if it has ended, record that as the run's end."""
        session = self.run.session
        async with session.connect() as api:
            job = await api.get_job(session.scope, self.run.job_id)
        if self.run.state.terminal:
            return True
        if not job.terminal:
            return False
        body = {**job.to_wire(), "config": without_token(job.config, self.run.salt)}
        self.run.append([entry_of(Reconciled(body, cause))], durable=True)
        self.appended()
        return True

    def _closed(self, intake: Intake, reason: str) -> None:
        note = StreamClosed(
            reason=reason,
            events=intake.events,
            pings=intake.pings,
            repeated=intake.repeated,
            malformed=intake.malformed,
            failures=self._backoff.failures,
        )
        if not self.run.state.terminal:
            self.run.append([entry_of(note)], durable=False)

    def _intake(self) -> Intake:
        run = self.run
        return Intake.after(run.state, run.journal, run.session.secrets, run.salt)
