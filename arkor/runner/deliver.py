"""Journal to callbacks: each record to each consumer, in order, with a receipt for each call.

Runs on the caller's loop and reads the log alone, so it neither knows nor cares whether a record
came a moment ago or before the last crash.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from arkor.core.calls import event_of, is_for_nobody, owed
from arkor.core.fold import Folding, receive
from arkor.core.notes import Aborted, CallbackCompleted, CallbackFailed, StepCompleted
from arkor.core.record import Record
from arkor.core.redact import redact
from arkor.core.state import Consumer, RunState
from arkor.core.steps import CallId, Step, attempts_in, steps_in
from arkor.errors import AbortError, CloudApiError, JournalError
from arkor.runner.abort import AbortSignal
from arkor.runner.callbacks import BoundCallbacks
from arkor.runner.contexts import context_for
from arkor.runner.effects import Call
from arkor.runner.engine import on_engine
from arkor.runner.ingest import Ingest
from arkor.runner.ownership import OwnedRun

__all__ = ["Delivery", "Replay", "Wakeup"]

log = logging.getLogger("arkor")

Replay = Literal["pending", "all"]

PASSED: Final = 2000
"""Records in a row that are for nobody, after which a consumer has a receipt for them."""


class Wakeup:
    """Lets Arkor's thread, or any other, wake the delivery on the caller's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def __call__(self) -> None:
        """Wake the delivery. A loop that has closed has nobody to wake."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Wait until somebody calls, or return at once if somebody has since the last time."""
        await self._event.wait()
        self._event.clear()


@dataclass(slots=True)
class Delivery:
    """Brings one run's log to its consumers, over as many waits as that takes.

    `positions` says how far each consumer has come, which the log knows only further on; `fed`
    how far this process has called it, which is less for one whose state is being rebuilt.
    """

    run: OwnedRun
    consumers: Sequence[BoundCallbacks]
    replay: Replay = "pending"
    signal: AbortSignal | None = None
    positions: dict[str, Consumer] = field(default_factory=dict)
    fed: dict[str, Consumer] = field(default_factory=dict)
    _folding: Folding = field(default_factory=Folding)
    _wanted: frozenset[str] = frozenset()
    _mark_due: int = PASSED
    _steps: dict[CallId, list[Step]] = field(default_factory=dict)
    _attempts: dict[CallId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = self.run
        self._wanted = frozenset(name for each in self.consumers for name in each.functions)
        for consumer in self.consumers:
            at = self.positions[consumer.name] = run.state.consumer(consumer.name)
            rebuilt = consumer.replays or self.replay == "all"
            self.fed[consumer.name] = Consumer(consumer.name) if rebuilt else at
        begin = min((each.cursor for each in self.fed.values()), default=run.state.records)
        self._folding = Folding(run.journal.fold(run.run_id, upto=begin))
        self._mark_due = begin + PASSED
        if run.state.has_steps:
            # A step of a call is recorded behind the record that the call is for.
            self._steps = steps_in(run.journal.notes(run.run_id, StepCompleted.TYPE, after=begin))
        if self.fed != self.positions:
            self._attempts = attempts_in(run.journal.notes(run.run_id, CallbackCompleted.TYPE))

    @property
    def state(self) -> RunState:
        """What the log says up to the record under way, as far as calls are made of it."""
        return self._folding.outline

    async def until_end(self, ingest: Ingest, wakeup: Wakeup) -> RunState:
        """Deliver until every consumer has finished the record that ends the run.

        Raises what a callback raised, `AbortError`, and what ended `ingest` before the run's
        end, once all that it recorded is delivered.
        """
        while not self._folding.terminal:
            ended = ingest.ended  # asked first: what it appended before is then in the page
            if await self._page():
                continue
            if ended:
                ingest.raise_for_failure()
            await self._heed_abort()
            await wakeup.wait()
        return self._folding.state

    async def _page(self) -> bool:
        """Deliver what the log holds behind the last record; false if that is nothing."""
        found = False
        for record in self.run.journal.records(self.run.run_id, after=self._folding.records):
            found = True
            if is_for_nobody(record, self._folding.job_id, self._wanted):
                self._folding.add(record)
                if record.seq >= self._mark_due:
                    await self._mark(record)
            else:
                await self._deliver(record)
            if self._folding.terminal:
                break
        return found

    async def _mark(self, record: Record) -> None:
        """Note that consumers have finished what was for nobody: nobody looks at it again."""
        self._mark_due = record.seq + PASSED
        for consumer in self.consumers:
            at = self.positions[consumer.name]
            # Not one whose next call may be a repeat: a receipt would make it a first attempt.
            if not consumer.replays and at.attempt == 1 and record.seq - at.cursor >= PASSED:
                note = CallbackCompleted(consumer.name, record.seq)
                await self._finished(consumer, record, note, replaying=False)

    async def _deliver(self, record: Record) -> None:
        before = self._folding.copy()
        self._folding.add(record)
        try:
            for consumer in self.consumers:
                await self._consume(consumer, record)
        except BaseException:
            self._folding = before  # the next wait begins with this record again
            raise

    async def _consume(self, consumer: BoundCallbacks, record: Record) -> None:
        name = consumer.name
        pending = owed(record, self.state, self.positions[name])
        calls = owed(record, self.state, self.fed[name])
        mine = [callback for callback in calls if callback in consumer.functions]
        for index, callback in enumerate(mine, 1):
            await self._heed_abort()
            began = time.perf_counter()
            await self._call(consumer, callback, record, replaying=callback not in pending)
            note = CallbackCompleted(
                name,
                record.seq,
                callback,
                attempt=self.positions[name].attempt,
                done=index == len(mine),
                seconds=round(time.perf_counter() - began, 6),
            )
            await self._finished(consumer, record, note, replaying=callback not in pending)
        if self._closes(consumer, record) and self.positions[name].cursor < record.seq:
            note = CallbackCompleted(name, record.seq)
            await self._finished(consumer, record, note, replaying=False)

    async def _call(
        self, consumer: BoundCallbacks, callback: str, record: Record, *, replaying: bool
    ) -> None:
        made = (record.seq, consumer.name, callback)
        attempt = self.positions[consumer.name].attempt
        if replaying:
            attempt = self._attempts.get(made, 1)
        recorder = None if replaying else self._record_step
        call = Call(self.run.run_id, made, self._steps.pop(made, ()), recorder)
        context = context_for(
            callback,
            record=record,
            event=event_of(record, self.state),
            state=self.state,
            attempt=attempt,
            replaying=replaying,
            call=call,
            session=self.run.session,
            cancel=self._cancel,
        )
        try:
            await consumer.call(callback, context)
            await call.finish()
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
            await call.abandon()
            self._steps[made] = call.recorded
            if not replaying:
                await self._failed(consumer, callback, record, attempt, error)
            raise

    async def _record_step(self, note: StepCompleted) -> Any:
        record = await self.run.note(note, durable=True)
        return json.loads(record.data)["result"]

    async def _cancel(self, reason: str | None) -> None:
        try:
            await on_engine(self.run.request_cancel(reason))
        except CloudApiError as error:
            if error.status != 409:  # the run has ended meanwhile
                raise

    async def _failed(
        self,
        consumer: BoundCallbacks,
        callback: str,
        record: Record,
        attempt: int,
        error: BaseException,
    ) -> None:
        text = redact(f"{type(error).__name__}: {error}", self.run.session.secrets, self.run.salt)
        # An end that comes from outside is no failure of the callback's own.
        interrupted = not isinstance(error, Exception)
        note = CallbackFailed(consumer.name, record.seq, callback, attempt, text, interrupted)
        self.positions[consumer.name] = receive(self.positions[consumer.name], note)
        try:
            await self.run.sign(note)
        except JournalError as refusal:
            # The caller is told what the callback raised; that the journal failed, too, is said.
            log.warning("run %s: %s", self.run.run_id, refusal)

    async def _finished(
        self, consumer: BoundCallbacks, record: Record, note: CallbackCompleted, *, replaying: bool
    ) -> None:
        name = consumer.name
        self.fed[name] = receive(self.fed[name], note)
        if replaying:
            return
        self.positions[name] = receive(self.positions[name], note)
        if not consumer.replays or self._is_kept(record):
            await self.run.sign(note)

    def _closes(self, consumer: BoundCallbacks, record: Record) -> bool:
        """Whether a receipt is due for `record` even if it owes the consumer no call."""
        return self.state.terminal or (consumer.replays and self._is_kept(record))

    def _is_kept(self, record: Record) -> bool:
        """Whether `record` is one for which a set that is rebuilt writes its receipts."""
        return record.type == "checkpoint.saved" or self.state.terminal

    async def _heed_abort(self) -> None:
        if self.signal is not None and self.signal.aborted:
            reason = self.signal.reason
            await self.run.note(Aborted(None if reason is None else str(reason)))
            raise AbortError(
                reason,
                message=f"the wait was aborted{'' if reason is None else f': {reason}'}; "
                f"job {self.run.state.job_id} goes on and may use a GPU: "
                f"`arkor cancel {self.run.run_id}` stops it",
            )
