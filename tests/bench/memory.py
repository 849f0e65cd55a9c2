"""How much memory following a run takes, against the length of its backlog."""

import re
from pathlib import Path

from measure import Row, Size, call, plain, source

TITLE = "Memory against the length of the backlog"


def rows(size: Size) -> list[Row]:
    found = []
    for count in sorted({size.of(full, 1000) for full in (100_000, 300_000, 1_000_000)}):
        with source(count, "big") as url:

            def peak(url: str = url, count: int = count) -> float:
                return float(call("memory:follow", url=url, count=count))

            found.append(plain(f"{count:,} events", "MB at most", peak, rounds=1))
    return found


def follow(url: str, count: int) -> float:
    """The peak of a process that follows them, in MB."""
    from ingest import trainer

    trainer(url, callbacks={"on_checkpoint": print}).wait_sync()
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


__all__ = ["TITLE", "follow", "rows"]
