"""Owning a run for a wish: an earlier one that the wish means, else a new one.

Looking and taking are one transaction, so of two processes that wish the same at once, one
adopts and the other makes its own.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from arkor.core.fold import fold_all
from arkor.core.notes import CallbackFailed, Resumed, SubmitRequested, entry_of, read_note
from arkor.core.redact import without_token
from arkor.core.spec import TrainingSpec, fingerprint
from arkor.core.wire import TERMINAL_STATUSES
from arkor.errors import ConfigError
from arkor.runner.ownership import OwnedRun
from arkor.runner.session import Session
from arkor.store.journal import Journal, open_journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun, RunRow, index_of
from arkor.store.transaction import Transaction
from arkor.store.writer import open_writer

__all__ = ["Adoption", "Wish", "open_run", "own", "take"]

log = logging.getLogger("arkor")

Adoption = Literal["orphaned", "never"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a trainer asks for: the options, the consumers, and which earlier run would do."""

    spec: TrainingSpec
    consumers: tuple[str, ...]
    provenance: Mapping[str, Any]
    run_key: str | None = None
    resume: Adoption = "orphaned"


def own(wish: Wish, session: Session, config: Mapping[str, Any]) -> tuple[OwnedRun, bool]:
    """Own the earlier run that `wish` means, or a new one; and say whether it is an earlier one.

    Raises `RunOwnedError` if a living process owns the run of the wish's key.
    """
    writer, journal = open_writer(session.home), open_journal(session.home)
    kept = without_token(config, writer.salt)
    with writer.transaction(durable=True) as tx:
        found = _find(tx, journal, wish, session, fingerprint(config))
        if found is None:
            run_id, epoch = _record(tx, wish, session, kept)
        else:
            run_id, epoch = found.run_id, take(tx, found, wish.consumers, wish.provenance)
    return open_run(session, run_id, epoch), found is not None


def open_run(session: Session, run_id: str, epoch: int) -> OwnedRun:
    """A run this process has just taken, its log folded and its lease kept."""
    writer, journal = open_writer(session.home), open_journal(session.home)
    run = OwnedRun(run_id, epoch, session, writer, journal, writer.salt)
    run.catch_up()
    if not run.state.settled:
        run.keep()
    return run


def take(
    tx: Transaction,
    row: RunRow,
    consumers: tuple[str, ...],
    provenance: Mapping[str, Any],
    *,
    without_code: bool = False,
) -> int:
    """Take an earlier run over, and note it; the new epoch. A settled one is only looked at.

    `without_code` leaves what a resume loads as the owner before recorded it. Raises
    `RunOwnedError` if a living process is waiting on it.
    """
    before = tx.lease(row.run_id)
    if row.settled:
        return before.epoch if before else 0
    epoch = tx.take_lease(row.run_id, current_owner(), adopt="idle")
    clean = before is None or before.state != "active"
    note = Resumed(epoch, clean, consumers, provenance, without_code)
    tx.append(row.run_id, [entry_of(note)], epoch=epoch)
    return epoch


def _find(
    tx: Transaction, journal: Journal, wish: Wish, session: Session, digest: str
) -> RunRow | None:
    """The run of the wish's key, else the oldest orphan of the same name and options."""
    project = {"project_root": str(session.root), **asdict(session.scope)}
    if wish.run_key is not None:
        keyed = next(iter(tx.find_runs(**project, run_key=wish.run_key)), None)
        if keyed is not None and (at := _address_of(journal, keyed)) != session.address:
            raise ConfigError(
                f"the run of key {wish.run_key!r} is at {at}, not at {session.address}; "
                "take another key for another backend",
                field="run_key",
            )
        return keyed
    if wish.resume == "never":
        return None
    owner = current_owner()
    for row in tx.find_runs(
        **project, name=wish.spec.name, fingerprint=digest, settled=False, imported_at=None
    ):
        lease = tx.lease(row.run_id)
        if lease is not None and not lease.gone(owner, tx.at):
            continue
        if _address_of(journal, row) != session.address:
            continue
        if row.status not in TERMINAL_STATUSES:
            return row
        if not _is_over(journal, row.run_id, wish.consumers):
            return row
        log.warning(
            "run %s of %r has ended, but a callback of it raised; "
            "`arkor resume %s` delivers what is owed",
            row.run_id,
            row.name,
            row.run_id,
        )
    return None


def _address_of(journal: Journal, row: RunRow) -> str | None:
    """The backend that a run was recorded at."""
    return fold_all(journal.records(row.run_id, limit=1)).address


def _is_over(journal: Journal, run_id: str, consumers: tuple[str, ...]) -> bool:
    """Whether a run that has its terminal status counts as ended although a call is owed.

    A hook that raised after the end must not stop tomorrow's training; one that its process's
    death kept from running must still run, though it had raised before the end.
    """
    state = journal.fold(run_id)
    if state.terminal_seq is None:
        return False
    later = map(read_note, journal.records(run_id, after=state.terminal_seq))
    raised = {note.consumer for note in later if isinstance(note, CallbackFailed)}
    return any(state.consumer(name).failures for name in raised.intersection(consumers))


def _record(
    tx: Transaction, wish: Wish, session: Session, config: Mapping[str, Any]
) -> tuple[str, int]:
    run = NewRun(
        name=wish.spec.name,
        project_root=str(session.root),
        org_slug=session.scope.org_slug,
        project_slug=session.scope.project_slug,
        fingerprint=fingerprint(config),
        run_key=wish.run_key,
    )
    note = SubmitRequested(
        name=run.name,
        config=config,
        fingerprint=run.fingerprint,
        idempotency_key=run.run_id,
        base_url=session.address,
        org_slug=run.org_slug,
        project_slug=run.project_slug,
        project_root=run.project_root,
        consumers=wish.consumers,
        run_key=wish.run_key,
        provenance=wish.provenance,
    )
    made = tx.create_run(run, [entry_of(note)], current_owner())
    tx.append(made.run_id, [], epoch=made.epoch, index=index_of(fold_all(made.records)))
    return made.run_id, made.epoch
