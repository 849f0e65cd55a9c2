"""The doctor: everything that a run stands on, looked at once, and nothing of it changed."""

import asyncio
from pathlib import Path
from typing import Final

from arkor.client.transport import open_http
from arkor.runner.doctor_account import examine_account
from arkor.runner.doctor_backend import Way, examine_backend, examine_embedded, way_to
from arkor.runner.doctor_finding import LEVELS, Finding, Level
from arkor.runner.doctor_journal import examine_journal
from arkor.runner.doctor_machine import examine_machine
from arkor.runner.doctor_site import Site, find_site
from arkor.runner.doctor_store import examine_store
from arkor.runner.doctor_stream import examine_stream
from arkor.store.network import MOUNTS

__all__ = ["Finding", "Level", "examine", "worst"]

PATIENCE: Final = 5.0
"""Seconds for which each question to a backend is waited for."""


async def examine(
    home: Path | str | None = None,
    *,
    cwd: Path | str | None = None,
    mounts: Path = MOUNTS,
    timeout: float = PATIENCE,
) -> list[Finding]:
    """Examine the machine, the store in `home`, its journal and runs, the token, the backend.

    Without `home` it is the one of the settings of the project in `cwd`. What fails becomes a
    finding: nothing is raised, written or created, and no finding holds a token. Backends are
    asked while the disk is read, each question for `timeout` seconds at most. `mounts` has the
    form of proc(5)'s mountinfo.
    """
    site, settings = await asyncio.to_thread(find_site, home, cwd)
    machine, store, journal, network = await asyncio.gather(
        asyncio.to_thread(examine_machine, site.address),
        asyncio.to_thread(examine_store, site, mounts),
        asyncio.to_thread(examine_journal, site.journal),
        _examine_network(site, timeout),
    )
    return [*machine, *settings, *store, *journal, *network]


def worst(findings: list[Finding]) -> Level:
    """The gravest level among `findings`; `ok` if there are none."""
    return max((each.level for each in findings), key=LEVELS.index, default="ok")


async def _examine_network(site: Site, timeout: float) -> list[Finding]:
    identity, account = await asyncio.to_thread(examine_account, site.home, site.address)
    backend, embedded = await examine_embedded(site)
    way = way_to(site, identity, backend)
    asked = [] if way is None else await _ask(way, site.journal, timeout)
    return [*account, embedded, *asked]


async def _ask(way: Way, journal: Path | None, timeout: float) -> list[Finding]:
    try:
        http = open_http()
    except (ImportError, ValueError):
        # A proxy that cannot be used; its address, which may hold a password, is in the error.
        return [
            Finding(
                "backend.reach",
                "problem",
                "no backend can be asked: the settings of the proxy cannot be used",
                "see `machine.proxy`",
            )
        ]
    async with http:
        findings, stream = await asyncio.gather(
            examine_backend(way, http, timeout), examine_stream(way, journal, http, timeout)
        )
    return [*findings, stream]
