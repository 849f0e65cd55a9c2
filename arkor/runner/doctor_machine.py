"""The examination of the machine: Python, SQLite, what is installed, the proxies."""

import os
import platform
import re
import sqlite3
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Final
from urllib.request import getproxies

import httpx

from arkor.client.notices import sdk_version
from arkor.runner.doctor_finding import Finding
from arkor.runner.local import LOCAL

__all__ = ["examine_machine"]

WITHOUT_RACE: Final = (3, 51, 3)
"""The first SQLite without the WAL-reset race."""

_OF_EXTRA: Final = re.compile(r"""^([\w.-]+).*;.*\bextra == ['"]([\w-]+)['"]""")


def examine_machine(address: str | None) -> list[Finding]:
    """What is found about the machine, for runs at the backend that is configured as `address`."""
    needed = {"backend"} if address == LOCAL else set()
    return [
        _python(),
        _sqlite(sqlite3.sqlite_version_info),
        _extras(needed),
        *_proxies(getproxies()),
    ]


def _python() -> Finding:
    system = f"{platform.system()} {platform.machine()}"
    what = f"Arkor {sdk_version()}, Python {platform.python_version()} on {system}"
    return Finding("machine.python", "ok", what)


def _sqlite(found: tuple[int, ...]) -> Finding:
    shown = ".".join(map(str, found))
    if found >= WITHOUT_RACE:
        return Finding("machine.sqlite", "ok", f"SQLite {shown}")
    return Finding(
        "machine.sqlite",
        "note",
        f"SQLite {shown} has the WAL-reset race (mended in 3.51.3), in which two connections that "
        "write and checkpoint at once can lose a commit; Arkor is not affected: one writer at a "
        "time checkpoints, and readers open the journal read-only",
        "let no other program write to arkor.db; a Python with SQLite 3.51.3 or later has no race",
    )


def _extras(needed: set[str]) -> Finding:
    try:
        missing = _missing(requires("arkor") or [])
    except PackageNotFoundError:
        return Finding(
            "machine.extras",
            "note",
            "Arkor runs from its sources: what its extras need is not known",
            "`pip install -e .` in its folder installs it",
        )
    if not missing:
        return Finding("machine.extras", "ok", "every extra is installed")
    shown = "; ".join(f"{extra} (for {', '.join(names)})" for extra, names in missing.items())
    if needed & missing.keys():
        return Finding(
            "machine.extras",
            "problem",
            f"the embedded backend is configured, and what it needs is not installed: {shown}",
            f"`pip install 'arkor[{','.join(needed)}]'`",
        )
    return Finding(
        "machine.extras",
        "note",
        f"not installed: {shown}",
        f"`pip install 'arkor[{','.join(missing)}]'`, or leave them out",
    )


def _missing(requirements: list[str]) -> dict[str, list[str]]:
    """The packages that each extra names and this Python has not."""
    missing: dict[str, list[str]] = {}
    for requirement in requirements:
        found = _OF_EXTRA.match(requirement)
        if found and found[2] != "dev" and not _installed(found[1]):
            missing.setdefault(found[2], []).append(found[1])
    return missing


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _proxies(proxies: dict[str, str]) -> list[Finding]:
    used = {scheme: url for scheme, url in proxies.items() if scheme in ("http", "https", "all")}
    if not used:
        return [Finding("machine.proxy", "ok", "no proxy is set")]
    return [_proxy(scheme, url) for scheme, url in sorted(used.items())]


def _proxy(scheme: str, url: str) -> Finding:
    name = f"{scheme.upper()}_PROXY"
    place = _place(url)
    if place is None:
        return Finding(
            "machine.proxy",
            "problem",
            f"{name} holds no address of a proxy that can be used, so no request can be made",
            f"set {name} to http://HOST:PORT, or unset it",
        )
    if place.startswith("socks") and find_spec("socksio") is None:
        return Finding(
            "machine.proxy",
            "problem",
            f"{name} names a SOCKS proxy ({place}), for which this Python has no support",
            "`pip install 'httpx[socks]'`",
        )
    left_out = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    return Finding(
        "machine.proxy",
        "note",
        f"{name} sends requests through {place}, apart from those to this machine"
        + (f" and to {left_out}" if left_out else ""),
        "if the backend is in your own network, add its host to NO_PROXY",
    )


def _place(url: str) -> str | None:
    """A proxy's address without its user name and password; `None` for what is no address."""
    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
    except httpx.InvalidURL:
        return None
    if parsed.scheme not in ("http", "https", "socks5", "socks5h") or not parsed.host:
        return None
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
