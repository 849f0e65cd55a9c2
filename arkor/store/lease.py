"""Who may append to a run: leases with epochs, and when another process may take one.

A lease is *active* while its process records and delivers, *idle* after a wait that raised, and
*released* when the run is settled. It is gone when its process is dead or it was not renewed in
time. Every taking raises the epoch, so an owner that was stalled and wakes up is refused.
"""

from dataclasses import dataclass
from typing import Final, Literal

from arkor.errors import RunOwnedError
from arkor.store.owner import Owner, current_owner

__all__ = ["LEASE_SECONDS", "RENEW_EVERY", "Adopt", "Lease", "LeaseState", "Owner", "current_owner"]

LEASE_SECONDS: Final = 30.0
"""How long a lease lasts without being renewed."""

RENEW_EVERY: Final = 10.0
"""How often an owner renews, in seconds."""

Adopt = Literal["dead", "idle"]
"""What may be taken over: a run whose owner is dead, or also one that its owner left idle."""

LeaseState = Literal["active", "idle", "released"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of `owner` to append to a run. Times are Unix seconds."""

    run_id: str
    epoch: int
    state: LeaseState
    owner: Owner
    acquired_at: float
    expires_at: float

    def gone(self, viewer: Owner, at: float) -> bool:
        """Whether the owner has died or stalled, as far as `viewer` can tell at that time."""
        return at >= self.expires_at or viewer.alive(self.owner) is False

    def free(self, viewer: Owner, at: float, *, adopt: Adopt) -> bool:
        """Whether `viewer` may take the run over."""
        if self.state == "released" or (self.state == "idle" and adopt == "idle"):
            return True
        return self.gone(viewer, at)

    def refusal(self) -> RunOwnedError:
        """The error for a process that may not have the run."""
        doing = "waits on" if self.state == "active" else "keeps"
        return RunOwnedError(
            f"process {self.owner.pid} on {self.owner.host} {doing} run {self.run_id}; follow it "
            f"with `arkor watch {self.run_id}`, or end that process and resume the run here",
            run_id=self.run_id,
            host=self.owner.host,
            pid=self.owner.pid,
        )

    def fenced(self, epoch: int) -> RunOwnedError:
        """The error for the owner of an earlier `epoch`, whose appends are refused."""
        return RunOwnedError(
            f"run {self.run_id} was taken over by process {self.owner.pid} on {self.owner.host} "
            f"(ownership {self.epoch}, this process had {epoch}); nothing more is recorded from "
            f"here. Follow the run with `arkor watch {self.run_id}`",
            run_id=self.run_id,
            host=self.owner.host,
            pid=self.owner.pid,
        )
