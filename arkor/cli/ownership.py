"""Who follows a run, in a word: its process, or nobody any more."""

from typing import TYPE_CHECKING

from arkor.runner.shapes import is_orphan

if TYPE_CHECKING:
    from arkor.store.lease import Lease

__all__ = ["in_words"]


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
