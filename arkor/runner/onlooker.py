"""Looking at a run's job at the backend: nothing is recorded, and nobody is called."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arkor.client.retry import Backoff, classify
from arkor.client.sse import Frame, Oversize
from arkor.client.stream import NoStreamError, StreamError
from arkor.core.events import TrainingCompleted, TrainingFailed, read_event
from arkor.core.state import RunState
from arkor.core.wire import Job, Scope
from arkor.errors import (
    BackendUnreachableError,
    CloudApiError,
    CredentialsError,
    ProtocolError,
)
from arkor.runner.contact import Contact
from arkor.runner.identity import current_identity
from arkor.runner.local import LOCAL, find_backend
from arkor.runner.options import TrainerOptions
from arkor.runner.pace import Pace, advance, moment
from arkor.runner.session import Session, home_of, reopen_session

__all__ = ["look_on"]

PASSING: Final = (BackendUnreachableError, ProtocolError, StreamError)
"""What another connection may mend."""

Tell = Callable[[Pace, Contact], None]


async def look_on(
    state: RunState, pace: Pace, tell: Tell, *, options: TrainerOptions | None = None
) -> Job:
    """Follow the job of a recorded run until it has ended; the job then.

    Begins where the log ends, with `pace`; `tell` is called when there is something new. Makes
    no identity and starts no backend. Raises `BackendUnreachableError` if nothing answers at
    first, `CredentialsError` if there are none, `CloudApiError` for a refusal that no retry
    mends, `ConfigError` if our identity is for another backend.
    """
    options = options or TrainerOptions()
    async with await _session(state, options) as session:
        return await _Onlooker(session, state, pace, tell).until_end()


async def _session(state: RunState, options: TrainerOptions) -> Session:
    wish, home = state.wish, home_of(options)
    assert wish is not None, "every log begins with a wish, or with an attachment"
    if wish.base_url != LOCAL and options.credentials is None and current_identity(home) is None:
        raise CredentialsError(
            f"run {state.run_id} is at {wish.base_url}, and nobody is signed in here: "
            "`arkor login`, or set ARKOR_TOKEN"
        )
    if wish.base_url == LOCAL and find_backend(home) is None:
        raise BackendUnreachableError(
            "the embedded backend is not running, so the job waits; `arkor backend start` lets "
            f"it go on, `arkor resume {state.run_id}` follows it"
        )
    scope = Scope(wish.org_slug, wish.project_slug)
    root = Path(wish.project_root)
    return await reopen_session(options, root=root, address=wish.base_url, scope=scope)


@dataclass(slots=True)
class _Onlooker:
    """Follows one job's stream. `_known` is whether the backend has answered yet."""

    session: Session
    state: RunState
    pace: Pace
    tell: Tell
    _contact: Contact = field(default_factory=Contact)
    _known: bool = False
    _fresh: bool = False
    _last_id: str | None = None
    _backoff: Backoff = field(init=False)

    def __post_init__(self) -> None:
        options = self.session.options
        self._backoff = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        self._last_id = self.state.last_event_id

    async def until_end(self) -> Job:
        while True:
            try:
                await self._stream()
                job = await self._job()
                if job.terminal:
                    return job
                delay = self._backoff.first
            except PASSING as error:
                if not self._known:
                    raise
                delay = self._lost(str(error))
            except CloudApiError as error:
                delay = await self._refused(error)
            await asyncio.sleep(delay)

    async def _job(self) -> Job:
        async with self.session.connect() as api:
            job = await api.get_job(self.session.scope, self.state.job_id or "")
        self._known = True
        return job

    async def _stream(self) -> None:
        """Read one connection, until it or the training ends."""
        session = self.session
        try:
            async with (
                session.connect() as api,
                api.open_event_stream(
                    session.scope,
                    self.state.job_id or "",
                    last_event_id=self._last_id,
                    idle_timeout=session.options.idle_timeout,
                ) as stream,
            ):
                self._known, self._fresh = True, False
                self._hear(Contact(heard=self._contact.heard))
                async for frames in stream.batches():
                    if any(list(map(self._take, frames))):
                        return
        except NoStreamError:
            return

    def _take(self, frame: Frame | Oversize) -> bool:
        """Take one event in; whether the training, or the stream, has ended by it."""
        if isinstance(frame, Oversize) or frame.event == "ping":
            return False
        self._last_id = self._last_id if frame.id is None else frame.id
        self._backoff.reset()
        if frame.event == "end":
            return True
        now = datetime.now(UTC).isoformat()
        _, event = read_event(frame.event, frame.data, self.state.job_id or "")
        self.pace = advance(self.pace, event, _moment(frame.data, now))
        self._hear(Contact(heard=time.time()))
        return isinstance(event, TrainingCompleted | TrainingFailed)

    async def _refused(self, error: CloudApiError) -> float:
        """Seconds until the next try. Raises what no retry mends."""
        match classify(error.status, refreshed=self._fresh):
            case "refresh" if await self.session.refresh():
                self._fresh = True
                return 0.0
            case "retry" if self._known or error.status != 404:
                return self._lost(f"refused with status {error.status}", error.retry_after)
            case "reconcile":
                return self._backoff.next_delay(None)
            case _:
                raise error

    def _lost(self, reason: str, retry_after: float | None = None) -> float:
        self.session.lost()
        delay = self._backoff.next_delay(retry_after)
        self._hear(Contact(self._contact.heard, self._backoff.failures, reason))
        return delay

    def _hear(self, contact: Contact) -> None:
        self._contact = contact
        self.tell(self.pace, contact)


def _moment(data: str, now: str) -> float:
    """When an event happened: by the backend's clock, if it says."""
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):  # no JSON, and so without a time of its own
        payload = None
    return moment(payload if isinstance(payload, dict) else {}, now)
