"""Which process this is, and whether another one on this machine still lives."""

import functools
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner", "current_owner"]


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, told apart from every other, also from a later one with its pid.

    `boot_id` changes when the machine restarts and `pid_ns` names the pid namespace: a
    container with another one counts as another host. `process_start` is the kernel's own mark
    of when the process began.
    """

    host: str
    boot_id: str
    pid_ns: str
    pid: int
    process_start: str

    def sees(self, other: "Owner") -> bool:
        """Whether this process could tell that `other` has died: same machine, same namespace."""
        return (self.boot_id, self.pid_ns) == (other.boot_id, other.pid_ns)

    def alive(self, other: "Owner") -> bool | None:
        """Whether `other` lives; `None` if that cannot be known from here.

        After a restart of the machine nothing from before it lives.
        """
        if self.sees(other):
            return process_start(other.pid) == other.process_start
        if self.host == other.host and self.pid_ns == other.pid_ns:
            return False
        return None


def current_owner() -> Owner:
    """This process."""
    return _owner(os.getpid())


@functools.lru_cache(maxsize=1)
def _owner(pid: int) -> Owner:
    return Owner(
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid_ns=_pid_namespace(),
        pid=pid,
        process_start=process_start(pid) or "",
    )


def process_start(pid: int) -> str | None:
    """When the living process `pid` of this machine began, in the kernel's words."""
    return _start_from_proc(pid) if sys.platform == "linux" else _start_from_ps(pid)


def _start_from_proc(pid: int) -> str | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the name in parentheses may hold anything; then state (3) … starttime (22).
    fields = line.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _start_from_ps(pid: int) -> str | None:
    said = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, start = said.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else start.strip()


def _boot_id() -> str:
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    said = subprocess.run(
        ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def _pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid") if sys.platform == "linux" else ""
