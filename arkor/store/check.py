"""Whether the journal is in order: its file, the chain of every run, and what is kept about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, func, select

from arkor.core.fold import Folding, fold_all
from arkor.core.notes import SubmitRequested, read_note
from arkor.core.record import GENESIS, Record, digest_of, form_of
from arkor.core.snapshot import is_intact, load_state
from arkor.core.state import RunState
from arkor.errors import JournalCorruptError, JournalError
from arkor.store import sqlite
from arkor.store.database import ReadDoor
from arkor.store.journal import Journal
from arkor.store.moment import rfc3339
from arkor.store.query import read_meta
from arkor.store.runs import RunRow, index_of
from arkor.store.schema import kinds, metadata, pruned, records, runs
from arkor.store.snapshots import drop_snapshots, read_text, snapshots_of
from arkor.store.survey import holds_nothing
from arkor.store.transaction import Transaction

__all__ = ["Finding", "Subject", "check_journal", "repair_index"]

Subject = Literal["file", "chain", "orphan", "index"]
"""What a finding is about: SQLite's file, a run's chain, rows without a run, what a log adds up to."""

_OF_RUNS: Final = [
    table
    for table in metadata.sorted_tables
    if any(key.references(runs) for key in table.foreign_keys)
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `run_id` and `seq` say where, if that is known."""

    subject: Subject
    problem: str
    run_id: str | None = None
    seq: int | None = None


def check_journal(path: Path) -> Iterator[Finding]:
    """Everything that is wrong with the journal at `path`, as it is found. Reads it whole.

    Changes nothing, and may run beside a writer. A damage is a finding; raises `JournalError`
    if the journal cannot be read for another reason.
    """
    if holds_nothing(path):
        yield Finding("file", "the file is empty: whatever it held is gone")
        return
    door = ReadDoor(path)
    try:
        yield from _check_file(door)
        yield from _check_orphans(door)
        yield from _check_runs(Journal(path), door)
    except JournalCorruptError as error:
        yield Finding("file", str(error))
    finally:
        door.close()


def repair_index(tx: Transaction, journal: Journal, run_id: str) -> None:
    """Write the run's row anew, as the run's log has it, and keep no other state of it.

    The log itself is not touched.
    """
    tx.append(run_id, [], epoch=None, index=index_of(fold_all(journal.records(run_id))))
    run = tx.connection.execute(select(runs.c.id).where(runs.c.run_id == run_id)).scalar_one()
    drop_snapshots(tx, run)


def _check_file(door: ReadDoor) -> Iterator[Finding]:
    with door.connect() as connection:
        for problem in sqlite.damage(connection):
            yield Finding("file", problem)
        if read_meta(connection, "redaction_salt") is None:
            yield Finding("file", "the salt that secrets are digested with is gone")


def _check_orphans(door: ReadDoor) -> Iterator[Finding]:
    with door.connect() as connection:
        for table in _OF_RUNS:
            query = (
                select(table.c.run, func.count())
                .outerjoin(runs, runs.c.id == table.c.run)
                .where(runs.c.id.is_(None))
                .group_by(table.c.run)
            )
            for run, count in connection.execute(query).all():
                problem = f"{count} rows of {table.name} are of run number {run}, which is not"
                yield Finding("orphan", problem, _proved_id(connection, run))
        buried = (
            select(runs.c.run_id)
            .join(pruned, pruned.c.run == runs.c.id)
            .where(select(records.c.seq).where(records.c.run == runs.c.id).exists())
        )
        for (run_id,) in connection.execute(buried).all():
            yield Finding("orphan", "the run was pruned, and has records", run_id)


def _proved_id(connection: Connection, run: int) -> str | None:
    """The id of a run that is not listed, if its first record says it and its digest proves it."""
    query = (
        select(records.c.data, records.c.recorded_at, records.c.digest)
        .join(kinds, kinds.c.id == records.c.kind)
        .where(records.c.run == run, records.c.seq == 1)
        .where(kinds.c.source == "local", kinds.c.type == SubmitRequested.TYPE)
    )
    row = connection.execute(query).first()
    try:
        return None if row is None else _said_id(*row)
    except (TypeError, AttributeError, OverflowError):
        return None  # what is stored there is no text, or no time


def _said_id(data: str, recorded_at: int, digest: bytes) -> str | None:
    at = rfc3339(recorded_at)
    record = Record("", 1, "local", SubmitRequested.TYPE, None, data, at, GENESIS, digest)
    note = read_note(record)
    if not isinstance(note, SubmitRequested):
        return None
    # A run's id is the key with which it was submitted.
    form = form_of(record._replace(run_id=note.idempotency_key))
    return note.idempotency_key if digest_of(GENESIS, form) == digest else None


def _check_runs(journal: Journal, door: ReadDoor) -> Iterator[Finding]:
    for row in journal.runs():
        try:
            yield from _check_run(journal, door, row)
        except JournalError as error:
            yield Finding("chain", str(error), row.run_id)
    journal.close()


def _check_run(journal: Journal, door: ReadDoor, row: RunRow) -> Iterator[Finding]:
    report = journal.verify(row.run_id)
    if not report.ok:
        yield Finding("chain", str(report.problem), row.run_id, report.first_bad_seq)
    elif not row.pruned:
        yield from _check_log(journal, door, row)


def _check_log(journal: Journal, door: ReadDoor, row: RunRow) -> Iterator[Finding]:
    folding = Folding()
    kept = list(_check_snapshots(journal, door, row.run_id, folding))
    differences = _differences(row, folding.state)
    if differences and (now := journal.row(row.run_id)) != row:
        yield from _check_run(journal, door, now)  # its owner is at work on it
        return
    yield from kept
    for name, (stored, folded) in differences.items():
        yield Finding("index", f"its {name} is {stored!r}, and its log says {folded!r}", row.run_id)
    if journal.lease(row.run_id) is None:
        yield Finding("orphan", "nobody can own the run: it has no lease", row.run_id)


def _check_snapshots(
    journal: Journal, door: ReadDoor, run_id: str, folding: Folding
) -> Iterator[Finding]:
    """Fold the whole log, and compare what is kept at some of its records with what it says."""
    with door.connect() as connection:
        due = set(snapshots_of(connection, run_id))
    for record in journal.records(run_id):
        folding.add(record)
        if record.seq in due:
            due.remove(record.seq)
            with door.connect() as connection:
                text = read_text(connection, run_id, record.seq)
            problem = None if text is None else _lie(text, folding.state)
            if problem:
                yield Finding("index", problem, run_id, record.seq)
    for seq in sorted(due):
        yield Finding("index", "a state is kept of a record that is not there", run_id, seq)


def _lie(text: str, folded: RunState) -> str | None:
    if not is_intact(text):
        return "the state that is kept of it is damaged, and is passed over"
    state = load_state(text)
    # That of another release is passed over, and no fault.
    if state is None or (state, state.consumers) == (folded, folded.consumers):
        return None
    return "the state that is kept of it is not what the log adds up to"


def _differences(row: RunRow, state: RunState) -> dict[str, tuple[object, object]]:
    folded = index_of(state)
    stored = {name: getattr(row, name) for name in folded}
    return {name: (stored[name], folded[name]) for name in folded if stored[name] != folded[name]}
