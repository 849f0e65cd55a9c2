"""Owning a run: the one door through which its owner appends, and the lease that allows it."""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arkor.core.fold import fold_all
from arkor.core.notes import (
    CallbackCompleted,
    CallbackFailed,
    CancelRequested,
    Note,
    entry_of,
)
from arkor.core.record import Entry, Record
from arkor.core.redact import redact
from arkor.core.state import INITIAL, RunState
from arkor.errors import JournalError, RunOwnedError
from arkor.runner.engine import on_engine, submit
from arkor.runner.session import Session
from arkor.store.journal import Journal
from arkor.store.lease import RENEW_EVERY
from arkor.store.runs import index_of
from arkor.store.snapshots import SNAPSHOT_EVERY, keep_snapshot
from arkor.store.writer import Busy, Writer

__all__ = ["OwnedRun"]

log = logging.getLogger("arkor")


@dataclass(slots=True)
class OwnedRun:
    """A run this process owns, until it is settled or the process ends.

    `state` is the fold of the log as this side last saw it. Everything here but `note` and `sign`
    runs on Arkor's thread.
    """

    run_id: str
    epoch: int
    session: Session
    writer: Writer
    journal: Journal
    salt: bytes
    state: RunState = INITIAL
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _process: int = field(default_factory=os.getpid, repr=False)
    _renewal: asyncio.Task[None] | None = field(default=None, repr=False)
    _index: Mapping[str, object] = field(default_factory=dict, repr=False)
    _snapshot_due: int = field(default=SNAPSHOT_EVERY, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _late: list[Entry] = field(default_factory=list, repr=False)

    @property
    def job_id(self) -> str:
        """The backend's id of the run. Only for a run that was accepted."""
        if self.state.job_id is None:
            raise ValueError(f"run {self.run_id} has not been accepted yet")
        return self.state.job_id

    def append(self, entries: Sequence[Entry], *, durable: bool) -> list[Record]:
        """Append, and fold what was appended. Raises `RunOwnedError` if another owner came.

        `durable` survives power loss when this returns; otherwise the death of the process.
        """
        self._stay_one()
        with self._turn:
            return self._append(entries, durable=durable)

    def _append(
        self, entries: Sequence[Entry], *, durable: bool, at_once: bool = False
    ) -> list[Record]:
        with self.writer.transaction(durable=durable, create=False, at_once=at_once) as tx:
            clean = [self._redacted(entry) for entry in entries]
            records = tx.append(self.run_id, clean, epoch=self.epoch)
            if records[0].seq > self.state.records + 1:
                self.catch_up(records[0].seq - 1)
            state = fold_all(records, self.state)
            if (index := index_of(state)) != self._index:
                tx.append(self.run_id, [], epoch=self.epoch, index=index)
            if state.records >= self._snapshot_due and not at_once:
                keep_snapshot(tx, state)
                self._snapshot_due = state.records + SNAPSHOT_EVERY
        self.state, self._index = state, index
        return records

    async def note(self, note: Note, *, durable: bool = False) -> Record:
        """Append one note from the caller's loop."""

        async def write() -> Record:
            (record,) = self.append([entry_of(note)], durable=durable)
            return record

        return await on_engine(write())

    async def sign(self, receipt: CallbackCompleted | CallbackFailed) -> None:
        """Append the receipt of a call. One that cannot be written now is, before any other call.

        Raises `JournalError` all the same: the call must not be followed by another.
        """
        self._stay_one()
        entry = entry_of(receipt)
        if not self._sign_at_once(entry):
            await on_engine(self._sign_in_turn(entry))

    def _sign_at_once(self, entry: Entry) -> bool:
        """Sign on the caller's thread, unless that would have to wait for anybody.

        Going to Arkor's thread and back takes longer than writing, which here means copying a
        page or two: no receipt waits for the disk.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            self._sign(entry, at_once=True)
        except Busy:
            return False
        finally:
            self._turn.release()
        return True

    async def _sign_in_turn(self, entry: Entry) -> None:
        with self._turn:
            self._sign(entry)

    def _sign(self, entry: Entry, *, at_once: bool = False) -> None:
        try:
            self._append([entry], durable=False, at_once=at_once)
        except RunOwnedError:
            raise
        except JournalError:
            self._late.append(entry)
            raise

    async def request_cancel(self, reason: str | None = None) -> None:
        """Note the wish to stop the run, and tell the backend. On Arkor's thread."""
        self.append([entry_of(CancelRequested(reason))], durable=False)
        async with self.session.connect() as api:
            await api.cancel_job(self.session.scope, self.job_id)
        self.cancelled.set()

    def catch_up(self, last: int | None = None) -> None:
        """Fold what was appended by others: an earlier owner, or a wish to cancel."""
        with self._turn:
            if not self.state.records:
                self.state = self.journal.fold(self.run_id, upto=last)
                self._snapshot_due = self.state.records + SNAPSHOT_EVERY
            left = None if last is None else last - self.state.records
            missed = self.journal.records(self.run_id, after=self.state.records, limit=left)
            self.state = fold_all(missed, self.state)
        if self.state.cancel_requested and not self.cancelled.is_set():
            submit(self._heed_cancel())

    async def _heed_cancel(self) -> None:
        self.cancelled.set()

    def keep(self) -> None:
        """Renew the lease from now on, as long as the process lives."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew())

    def work(self) -> None:
        """Take an idle run up again. Raises `RunOwnedError` if another process has taken it."""
        self._stay_one()
        self.writer.set_active(self.run_id, self.epoch)
        self._sign_late()

    def leave(self) -> None:
        """End a wait: give the run up if it is settled, else keep it for the next wait.

        A receipt that still cannot be written raises `JournalError`, and leaves the run as one
        whose process dies would: the next owner's first call may then be a repeat, and says so.
        """
        self._sign_late()
        if self.state.settled:
            self.release()
        else:
            self.rest()

    def rest(self) -> None:
        """Leave the run idle: ours still, but another process may take it over on request."""
        self.writer.set_idle(self.run_id, self.epoch)

    def release(self) -> None:
        """Give the run up for good: it is settled."""
        if self._renewal is not None:
            self._renewal.cancel()
        self.writer.release(self.run_id, self.epoch)

    def _sign_late(self) -> None:
        if self._late:
            self.append(self._late, durable=False)
            self._late.clear()

    def _stay_one(self) -> None:
        """Refuse to work in the child of a fork: the run is the parent's.

        Asked before `_turn` is, which a thread that the child does not have may hold for ever.
        """
        if os.getpid() != self._process:
            lease = self.journal.lease(self.run_id)
            assert lease is not None
            raise lease.refusal()

    def _redacted(self, entry: Entry) -> Entry:
        data = redact(entry.data, self.session.secrets, self.salt)
        return entry if data is entry.data else Entry(entry.source, entry.type, data, entry.sse_id)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                self.writer.renew(self.run_id, self.epoch)
                # Another process may have noted a wish to cancel meanwhile.
                self.catch_up()
            except RunOwnedError:
                return
            except JournalError as error:
                # The next append says it to the caller; a lease that is late is not yet lost.
                log.warning("the lease of run %s was not renewed: %s", self.run_id, error)
