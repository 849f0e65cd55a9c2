"""Removing a run's records, for ever: what stays is its row, and a tombstone."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, select

from arkor.errors import JournalError, RunPrunedError
from arkor.store.lease import current_owner
from arkor.store.schema import pruned, records, runs
from arkor.store.snapshots import drop_snapshots
from arkor.store.transaction import Transaction

__all__ = ["Tombstone", "prune_run", "read_tombstone", "restore_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is left of a run's log: how many records it had, the last one's digest, where it went.

    `pruned_at` is RFC 3339, UTC. `archive` is the path that its export was written to, and
    `archive_sha256` that file's digest in hexadecimal; both are `None` if none was wanted.
    """

    run_id: str
    pruned_at: str
    records: int
    head: bytes
    archive: str | None = None
    archive_sha256: str | None = None

    def refusal(self, path: object) -> RunPrunedError:
        """The error for whoever reads the log in the journal at `path`."""
        kept = (
            "it was not archived, so it is gone"
            if self.archive is None
            else f"`arkor import '{self.archive}'` brings it back"
        )
        return RunPrunedError(
            f"the {self.records} records of run {self.run_id} were pruned on "
            f"{self.pruned_at[:10]}; {kept}",
            path=path,
            run_id=self.run_id,
            archive=self.archive,
        )


def read_tombstone(connection: Connection, run_id: str) -> Tombstone | None:
    """What is left of the run, if it was pruned."""
    query = select(
        runs.c.run_id,
        pruned.c.pruned_at,
        pruned.c.records,
        pruned.c.head,
        pruned.c.archive,
        pruned.c.archive_sha256,
    )
    query = query.join(runs, runs.c.id == pruned.c.run).where(runs.c.run_id == run_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else Tombstone(**row)


def prune_run(
    tx: Transaction,
    run_id: str,
    *,
    head: bytes | None = None,
    archive: str | None = None,
    archive_sha256: str | None = None,
) -> Tombstone:
    """Remove the run's records, and leave a tombstone. Its row stays, and with it its key.

    `head` is the digest of the last record that was archived, and must be the log's last one.
    Raises `JournalError` if it is not, or if the run is not settled, `RunPrunedError` if it was
    pruned before, `RunOwnedError` if a living process has it. Then nothing was removed.
    """
    row = _must_be_done(tx, run_id)
    of_run = records.c.run == row
    last = select(records.c.digest).where(of_run).order_by(records.c.seq.desc()).limit(1)
    digest = tx.connection.execute(last).scalar()
    if digest is None or (head is not None and digest != head):
        what = "no record" if digest is None else "got another record since it was archived"
        raise JournalError(f"run {run_id} has {what}; nothing of it was removed, run it again")
    count = tx.connection.execute(select(func.count()).where(of_run)).scalar_one()
    tx.connection.execute(delete(records).where(of_run))
    drop_snapshots(tx, row)
    tx.size += count * 150
    stone = Tombstone(
        run_id=run_id,
        pruned_at=tx.recorded_at,
        records=count,
        head=digest,
        archive=archive,
        archive_sha256=archive_sha256,
    )
    columns = asdict(stone)
    del columns["run_id"]
    tx.connection.execute(insert(pruned).values(run=row, **columns))
    return stone


def restore_run(tx: Transaction, run_id: str) -> None:
    """Take the run's tombstone away: its records are about to come back."""
    row = select(runs.c.id).where(runs.c.run_id == run_id).scalar_subquery()
    tx.connection.execute(delete(pruned).where(pruned.c.run == row))


def _must_be_done(tx: Transaction, run_id: str) -> int:
    """The number of a run that is over and nobody's."""
    stone = read_tombstone(tx.connection, run_id)
    if stone is not None:
        raise stone.refusal(None)
    found = tx.connection.execute(
        select(runs.c.id, runs.c.settled).where(runs.c.run_id == run_id)
    ).first()
    if found is None or not found.settled:
        what = "is not in the journal" if found is None else "is not finished"
        raise JournalError(f"run {run_id} {what}; only a run that owes nothing is removed")
    lease = tx.lease(run_id)
    if lease is not None and not lease.free(current_owner(), tx.at, adopt="dead"):
        raise lease.refusal()
    return int(found.id)
