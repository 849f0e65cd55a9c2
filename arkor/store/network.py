"""Journals on network filesystems, where SQLite's write-ahead log is unsafe between hosts."""

import re
import socket
import warnings
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from arkor.errors import ArkorWarning, JournalError
from arkor.store.query import read_meta
from arkor.store.schema import leases, meta

__all__ = ["MOUNTS", "claim_host", "network_filesystem", "warn_of_network"]

MOUNTS: Final = Path("/proc/self/mountinfo")

_NETWORK: Final = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "smb3", "smbfs", "fuse.ceph", "fuse.glusterfs"),
        *("fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)


def network_filesystem(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the network filesystem that `path` is on; `None` on a local one.

    `mounts` has the form of proc(5)'s mountinfo; where there is none, every path counts as local.
    """
    if not mounts.exists():
        return None
    place, kind = Path("/"), ""
    for line in mounts.read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = Path(_unescaped(left.split()[4]))
        # Of two mounts on one point the later one is seen.
        if path.resolve().is_relative_to(point) and point.is_relative_to(place):
            place, kind = point, right.split()[0]
    return kind if kind in _NETWORK else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def warn_of_network(path: Path, kind: str) -> None:
    """Say that the journal is slower, and for one host at a time, where it is."""
    warnings.warn(
        f"the journal {path} is on a network filesystem ({kind}): it is written without a "
        "write-ahead log, slower, and by one host at a time. Set ARKOR_HOME to a local folder",
        ArkorWarning,
        stacklevel=2,
    )


def claim_host(connection: Connection, path: Path, at: float) -> None:
    """Make this host the one that writes the journal, unless another one still owns runs there.

    Raises `JournalError` naming the other host.
    """
    here, there = socket.gethostname(), read_meta(connection, "host")
    if there == here:
        return
    owned = select(leases.c.run).where(
        leases.c.host == there, leases.c.state != "released", leases.c.expires_at > at
    )
    if connection.execute(owned).first() is not None:
        raise JournalError(
            f"the journal {path} is on a network filesystem and in use by host {there}; "
            "stop the runs there, or set ARKOR_HOME to a folder of this host",
            path=path,
        )
    connection.execute(delete(meta).where(meta.c.key == "host"))
    connection.execute(insert(meta).values(key="host", value=here))
