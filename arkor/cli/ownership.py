"""Who follows a run, in a word: its process, or nobody any more."""

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkor.store.journal import Journal, RunRow
    from arkor.store.lease import Lease

__all__ = ["in_words", "is_left", "is_orphan", "lease_of", "to_json"]


def lease_of(journal: "Journal", row: "RunRow") -> "Lease | None":
    """The lease of a run, unless nothing is owed of it any more."""
    lease = None if row.settled else journal.lease(row.run_id)
    return None if lease is None or lease.state == "released" else lease


def is_left(lease: "Lease") -> bool:
    """Whether nobody keeps the run: it was given up, or its process has died or stalled."""
    return lease.state == "released" or is_orphan(lease)


def is_orphan(lease: "Lease") -> bool:
    """Whether nobody waits on the run: its process has ended or stalled, as far as can be told."""
    from arkor.store.lease import current_owner

    return lease.gone(current_owner(), time.time())


def in_words(lease: "Lease | None") -> str:
    """For a table: `orphan`, or the process, and whether it waits at the moment."""
    from arkor.store.lease import current_owner

    if lease is None:
        return ""
    if is_orphan(lease):
        return "orphan"
    owner, here = lease.owner, current_owner()
    where = "" if here.sees(owner) else f" on {owner.host}"
    return f"process {owner.pid}{where}{' (idle)' if lease.state == 'idle' else ''}"


def to_json(lease: "Lease | None") -> dict[str, Any] | None:
    """The same as JSON. `state` is `active`, `idle` or `orphan`."""
    if lease is None:
        return None
    state = "orphan" if is_orphan(lease) else lease.state
    return {"host": lease.owner.host, "pid": lease.owner.pid, "state": state}
