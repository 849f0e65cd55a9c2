"""Where a log need not be folded from: states kept at some of its records."""

from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from arkor.core.snapshot import dump_state, load_state
from arkor.core.state import INITIAL, RunState
from arkor.store.schema import records, runs, snapshots
from arkor.store.transaction import Transaction

__all__ = ["SNAPSHOT_EVERY", "drop_snapshots", "keep_snapshot", "read_snapshot"]

SNAPSHOT_EVERY: Final = 2000
"""Records between two snapshots of a run: folding so many takes some 20 ms."""


def keep_snapshot(tx: Transaction, state: RunState) -> None:
    """Keep a state of a log's end, and those earlier ones from which a consumer may go on.

    So there are one or two, and more where delivery lags far behind.
    """
    run = select(runs.c.id).where(runs.c.run_id == state.run_id).scalar_subquery()
    of_run = snapshots.c.run == run
    delivered = min((state.consumer(name).cursor for name in state.named), default=state.records)
    newest = select(func.max(snapshots.c.seq)).where(of_run, snapshots.c.seq <= delivered)
    tx.connection.execute(
        delete(snapshots).where(of_run, snapshots.c.seq < newest.scalar_subquery())
    )
    kept = insert(snapshots).values(run=run, seq=state.records, state=dump_state(state))
    tx.connection.execute(kept)


def read_snapshot(connection: Connection, run_id: str, upto: int | None = None) -> RunState:
    """The last state kept of the run at or before record `upto`; `INITIAL` if there is none.

    It counts only if the log has its last record still, and as it was.
    """
    query = (
        select(snapshots.c.state, records.c.digest)
        .select_from(snapshots)
        .join(runs, runs.c.id == snapshots.c.run)
        .join(records, (records.c.run == snapshots.c.run) & (records.c.seq == snapshots.c.seq))
        .where(runs.c.run_id == run_id)
        .order_by(snapshots.c.seq.desc())
        .limit(1)
    )
    if upto is not None:
        query = query.where(snapshots.c.seq <= upto)
    row = connection.execute(query).first()
    state = None if row is None else load_state(row.state)
    if row is None or state is None or (state.run_id, state.head) != (run_id, row.digest):
        return INITIAL
    return state


def drop_snapshots(tx: Transaction, run: int) -> None:
    """Forget the states of the run whose records go."""
    tx.connection.execute(delete(snapshots).where(snapshots.c.run == run))
