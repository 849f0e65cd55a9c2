"""Wire to journal: what a run's stream brings is durable before anybody acts on it.

Runs on Arkor's thread, one per run that is waited for, until the log holds the run's end. It
only ever writes the log; who wants to know reads it there.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from arkor.client.retry import Backoff, classify, is_transient
from arkor.client.stream import (
    EventStream,
    NoStreamError,
    StreamError,
    StreamIdleError,
    open_events,
)
from arkor.core.notes import StreamClosed, StreamOpened, entry_of
from arkor.errors import (
    ArkorError,
    BackendUnreachableError,
    CloudApiError,
    ProtocolError,
    StreamExhaustedError,
)
from arkor.runner.ending import CANCELLED, Ending
from arkor.runner.intake import Intake, Taken
from arkor.runner.ownership import OwnedRun

__all__ = ["Ingest"]

log = logging.getLogger("arkor")

FAILURES_BEFORE_A_LOOK: Final = 5
"""Failures in a row after which the job itself is asked whether it has ended."""

CALM: Final = 2
"""First delays in a row without an event, after which a job that has ended has sent its last."""


@dataclass(slots=True)
class Ingest:
    """Follows one run's stream into its log. `appended` is called after each append.

    `start` and `stop` are for Arkor's thread; what ended it is told to the caller's.
    """

    run: OwnedRun
    appended: Callable[[], None]
    _backoff: Backoff = field(init=False)
    _ending: Ending = field(init=False)
    _connected: Intake | None = None
    _last: bool = False
    _refreshed: bool = False
    _missing_since: float | None = None
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        options = self.run.session.options
        self._backoff = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        self._ending = Ending(self.run, self.appended)

    async def start(self) -> None:
        """Begin to follow; `appended` is called once more when that has ended."""
        if self.run.state.cancel_requested:
            self.run.cancelled.set()
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
        tasks = [asyncio.create_task(self._stream()), asyncio.create_task(self._end_known())]
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

    async def _end_known(self) -> None:
        """End the run when its job is known to have ended and its stream has no more to say."""
        await self._ending.await_known()
        calm = 0
        while calm < CALM:
            before = self._arrivals
            await asyncio.sleep(self.run.session.options.reconnect_delay)
            calm = calm + 1 if before is not None and before == self._arrivals else 0
        self._ending.settle()

    @property
    def _arrivals(self) -> tuple[int, int] | None:
        """Which connection is open, and how many events it has brought; `None` if none is."""
        intake = self._connected
        return None if intake is None else (id(intake), intake.arrivals)

    async def _connect(self) -> None:
        """Make one connection and record what it brings, then pause as its end demands."""
        intake = self._intake()
        self._last = self._ending.known.is_set()
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
            if isinstance(error, StreamIdleError):
                await self._ending.learn("an idle stream")
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
        elif intake.data:
            # A clean close after data is no failure: the first delay, and no count.
            await self._pause(self._backoff.first)
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
            self._missing_since, self._refreshed = None, False
            intake.secrets = session.secrets
            self.run.append([entry_of(StreamOpened(last_id))], durable=False)
            self._connected = intake
            try:
                return await self._batches(stream, intake)
            finally:
                self._connected = None

    async def _batches(self, stream: EventStream, intake: Intake) -> bool:
        async for frames in stream.batches():
            if stream.retry_ms is not None:
                self._backoff.set_first(stream.retry_ms)
            taken = intake.take(frames)
            self._append(taken)
            if taken.progress:
                self._backoff.reset()
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
            case "refresh":
                await self._refresh(error)
            case _ if self.run.cancelled.is_set() and await self._ending.look(CANCELLED):
                pass
            case _:
                raise error

    async def _refresh(self, refusal: CloudApiError) -> None:
        """Get a fresh token for one more try; a second 401 in a row is final.

        A provider that is out of reach is one failure, and is asked again at the next 401.
        """
        try:
            if not await self.run.session.refresh():
                raise refusal
            self._refreshed = True
        except BackendUnreachableError as error:
            await self._failed(error)
        except CloudApiError as error:
            if error is refusal or not is_transient(error.status):
                raise
            await self._failed(error)

    def _missing_for(self, error: CloudApiError) -> float:
        if error.status != 404:
            return 0.0
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        return now - self._missing_since

    async def _settle_or_fail(self, cause: str, error: ArkorError | None = None) -> None:
        if not await self._ending.look(cause):
            await self._failed(error or ProtocolError(f"the stream ended ({cause}) too early"))

    async def _failed(self, error: ArkorError) -> None:
        """Count one failure and wait before the next try. Raises if there are no more tries."""
        if self._ending.known.is_set():
            # What a job that has ended may still have to say is worth one more try, and no wait.
            if self._last:
                self._ending.settle()
            return
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
        is_time = failures % FAILURES_BEFORE_A_LOOK == 0
        if is_time and await self._ending.look(f"{failures} failures"):
            return
        log.info("job %s: %s; next try in %.1f s", self.run.job_id, error, delay)
        await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try, but not for a job that has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.known.wait()

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
