"""Whether the journal is in order: its file, the chain of every run, and what is kept about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select

from arkor.core.fold import fold_all
from arkor.core.state import RunState
from arkor.errors import JournalCorruptError, JournalError
from arkor.store import sqlite
from arkor.store.database import ReadDoor
from arkor.store.journal import Journal
from arkor.store.query import read_meta
from arkor.store.runs import RunRow, index_of
from arkor.store.schema import leases, pruned, records, runs
from arkor.store.transaction import Transaction

__all__ = ["Finding", "Subject", "check_journal", "repair_index"]

Subject = Literal["file", "chain", "orphan", "index"]
"""What a finding is about: SQLite's file, a run's chain, rows without a run, a run's own row."""


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
    door = ReadDoor(path)
    try:
        yield from _check_file(door)
        yield from _check_orphans(door)
        yield from _check_runs(Journal(path))
    except JournalCorruptError as error:
        yield Finding("file", str(error))
    finally:
        door.close()


def repair_index(tx: Transaction, journal: Journal, run_id: str) -> None:
    """Write the run's row anew, as the run's log has it. The log itself is not touched."""
    tx.append(run_id, [], epoch=None, index=index_of(fold_all(journal.records(run_id))))


def _check_file(door: ReadDoor) -> Iterator[Finding]:
    with door.connect() as connection:
        for problem in sqlite.damage(connection):
            yield Finding("file", problem)
        if read_meta(connection, "redaction_salt") is None:
            yield Finding("file", "the salt that secrets are digested with is gone")


def _check_orphans(door: ReadDoor) -> Iterator[Finding]:
    with door.connect() as connection:
        for table in (records, leases, pruned):
            query = (
                select(table.c.run, func.count())
                .outerjoin(runs, runs.c.id == table.c.run)
                .where(runs.c.id.is_(None))
                .group_by(table.c.run)
            )
            for run, count in connection.execute(query).all():
                yield Finding(
                    "orphan", f"{count} rows of {table.name} are of run number {run}, which is not"
                )
        buried = (
            select(runs.c.run_id)
            .join(pruned, pruned.c.run == runs.c.id)
            .where(select(records.c.seq).where(records.c.run == runs.c.id).exists())
        )
        for (run_id,) in connection.execute(buried).all():
            yield Finding("orphan", "the run was pruned, and has records", run_id)


def _check_runs(journal: Journal) -> Iterator[Finding]:
    for row in journal.runs():
        try:
            yield from _check_run(journal, row)
        except JournalError as error:
            yield Finding("chain", str(error), row.run_id)
    journal.close()


def _check_run(journal: Journal, row: RunRow) -> Iterator[Finding]:
    report = journal.verify(row.run_id)
    if not report.ok:
        yield Finding("chain", str(report.problem), row.run_id, report.first_bad_seq)
    elif not row.pruned:
        differences = _differences(row, fold_all(journal.records(row.run_id)))
        if differences and (now := journal.row(row.run_id)) != row:
            yield from _check_run(journal, now)  # its owner is at work on it
            return
        for name, (stored, folded) in differences.items():
            yield Finding(
                "index", f"its {name} is {stored!r}, and its log says {folded!r}", row.run_id
            )
        if journal.lease(row.run_id) is None:
            yield Finding("orphan", "nobody can own the run: it has no lease", row.run_id)


def _differences(row: RunRow, state: RunState) -> dict[str, tuple[object, object]]:
    folded = index_of(state)
    stored = {name: getattr(row, name) for name in folded}
    return {name: (stored[name], folded[name]) for name in folded if stored[name] != folded[name]}
