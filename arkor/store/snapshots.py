"""Where a log need not be folded from: states kept at some of its records."""

from typing import Final

from sqlalchemy import Connection, LargeBinary, cast, delete, func, insert, or_, select

from arkor.core.snapshot import dump_state, load_state
from arkor.core.state import INITIAL, RunState
from arkor.store.schema import records, runs, snapshots
from arkor.store.transaction import Transaction

__all__ = [
    "SNAPSHOT_EVERY",
    "drop_snapshots",
    "keep_snapshot",
    "read_snapshot",
    "read_text",
    "snapshots_of",
]

SNAPSHOT_EVERY: Final = 2000
"""Records between two snapshots of a run: folding so many takes some 20 ms."""


# As bytes: what is damaged may be no text any more.
_TEXT: Final = cast(snapshots.c.state, LargeBinary).label("state")


def keep_snapshot(tx: Transaction, state: RunState) -> None:
    """Keep a state of a log's end, and those earlier ones from which a consumer may go on.

    So there are one or two, and more where delivery lags far behind. A state that cannot be
    written down is not kept: appending must not fail for it.
    """
    try:
        text = dump_state(state)
    except RecursionError:
        return
    run = select(runs.c.id).where(runs.c.run_id == state.run_id).scalar_subquery()
    of_run = snapshots.c.run == run
    delivered = min((state.consumer(name).cursor for name in state.named), default=state.records)
    newest = select(func.max(snapshots.c.seq)).where(of_run, snapshots.c.seq <= delivered)
    # What claims to be of this record, or of a later one, is of a log that is no more.
    useless = or_(snapshots.c.seq < newest.scalar_subquery(), snapshots.c.seq >= state.records)
    tx.connection.execute(delete(snapshots).where(of_run, useless))
    tx.connection.execute(insert(snapshots).values(run=run, seq=state.records, state=text))


def read_snapshot(connection: Connection, run_id: str, upto: int | None = None) -> RunState:
    """The last state kept of the run at or before record `upto`; `INITIAL` if there is none.

    It counts only if the log has its last record still, and as it was.
    """
    query = (
        select(_TEXT, snapshots.c.seq, records.c.digest)
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
    state = None if row is None else load_state(_decoded(row.state))
    if row is None or state is None:
        return INITIAL
    fits = (state.run_id, state.records, state.head) == (run_id, row.seq, row.digest)
    return state if fits else INITIAL


def snapshots_of(connection: Connection, run_id: str) -> list[int]:
    """The records of the run at which a state is kept."""
    of_run = select(snapshots.c.seq).join(runs, runs.c.id == snapshots.c.run)
    query = of_run.where(runs.c.run_id == run_id).order_by(snapshots.c.seq)
    return list(connection.execute(query).scalars())


def read_text(connection: Connection, run_id: str, seq: int) -> str | None:
    """What is kept of the run at record `seq`, whatever it is; `None` if nothing is any more."""
    of_run = select(_TEXT).join(runs, runs.c.id == snapshots.c.run)
    query = of_run.where(runs.c.run_id == run_id, snapshots.c.seq == seq)
    state = connection.execute(query).scalar()
    return None if state is None else _decoded(state)


def _decoded(state: bytes) -> str:
    return state.decode("ascii", "replace")


def drop_snapshots(tx: Transaction, run: int) -> None:
    """Forget the states of the run whose records go."""
    tx.connection.execute(delete(snapshots).where(snapshots.c.run == run))
