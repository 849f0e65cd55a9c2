"""The examination of the runs that are not finished: who follows them, and who does no more."""

import time
from contextlib import closing
from pathlib import Path
from typing import Final

from arkor.runner.doctor_finding import Finding
from arkor.runner.doctor_words import shown_time
from arkor.store.journal import Journal, RunRow
from arkor.store.lease import Lease, current_owner

__all__ = ["examine_runs", "unfinished_runs"]

MOST: Final = 10
"""Runs that are named one by one."""


def examine_runs(path: Path) -> list[Finding]:
    """What is found about the unfinished runs of the journal at `path`, the newest first.

    Raises `JournalError` if it cannot be read.
    """
    with closing(Journal(path)) as journal:
        runs = [_examine(row, lease) for row, lease in unfinished_runs(journal)]
    left = [finding for finding in runs if finding is not None]
    followed = len(runs) - len(left)
    summary = Finding("runs.owners", "ok", f"followed by a living process: {followed}")
    return [summary, *left[:MOST], *_rest(len(left) - MOST)]


def unfinished_runs(journal: Journal) -> list[tuple[RunRow, Lease]]:
    """The runs of which something is owed, with who has them, the newest first.

    Not those that came from a file, which are evidence: nothing of them is owed here.
    """
    rows = [row for row in journal.runs() if not row.settled and row.imported_at is None]
    leases = [(row, journal.lease(row.run_id)) for row in rows]
    return [(row, lease) for row, lease in leases if lease and lease.state != "released"]


def _rest(count: int) -> list[Finding]:
    if count <= 0:
        return []
    return [
        Finding(
            "runs.unfinished",
            "warning",
            f"{count} more runs are unfinished, and nobody follows them",
            "`arkor runs --all` lists them",
        )
    ]


def _examine(row: RunRow, lease: Lease) -> Finding | None:
    """What is wrong with the following of an unfinished run; `None` if nothing is."""
    here, at = current_owner(), time.time()
    run = f"run {row.run_id} ({row.name}, {row.status})"
    who = f"process {lease.owner.pid}"
    if not here.sees(lease.owner):
        who += f" on {lease.owner.host}"
    if not lease.gone(here, at):
        return None if lease.state == "active" else _idle(row.run_id, run, who)
    if here.alive(lease.owner):
        return Finding(
            "runs.stalled",
            "warning",
            f"{run}: {who} lives, and let its lease run out {shown_time(at - lease.expires_at)} ago",
            f"end it (`kill {lease.owner.pid}`) if it hangs; `arkor resume {row.run_id}` "
            "goes on with the run",
        )
    return Finding(
        "runs.orphaned",
        "warning",
        f"{run}: {who} followed it, and does no more",
        f"`arkor resume {row.run_id}`",
    )


def _idle(run_id: str, run: str, who: str) -> Finding:
    return Finding(
        "runs.idle",
        "note",
        f"{run}: {who} keeps it, and does not follow it at the moment",
        f"`arkor resume {run_id}` takes it over, if that process will not go on with it",
    )
