"""What the backend says about this release: that it is outdated, or no longer served."""

import inspect
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

__all__ = [
    "Deprecation",
    "DeprecationHandler",
    "latest_deprecation",
    "notify",
    "read_deprecation",
    "sdk_version",
    "unsupported_message",
    "upgrade_command",
]

_log = logging.getLogger("arkor.client")

_WARNING: Final = re.compile(r'\d{3} - "(.*)"')
_DATED: Final = re.compile(r"@(-?\d{1,12})")  # RFC 9745, 2.1
_PRE_RELEASE: Final = re.compile(r"(\d+\.\d+\.\d+)\.?(a|b|rc|dev)(\d+)")
_PHASES: Final = {"a": "alpha", "b": "beta", "rc": "rc", "dev": "dev"}


@dataclass(frozen=True, slots=True)
class Deprecation:
    """The backend will stop to serve this release: `message`, and the `sunset` header as it is."""

    sdk_version: str
    message: str
    sunset: str | None = None


DeprecationHandler = Callable[[Deprecation], Awaitable[None] | None]

_latest: list[Deprecation] = []


def latest_deprecation() -> Deprecation | None:
    """The newest notice in this process that no handler of a client took."""
    return _latest[-1] if _latest else None


@cache
def sdk_version() -> str:
    """This release as a semantic version, which the backend's gate reads: `0.1.0-alpha.1`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        given = version("arkor")
    except PackageNotFoundError:
        return "0.0.0"  # a source tree that nobody installed
    if match := _PRE_RELEASE.match(given):
        release, phase, number = match.groups()
        return f"{release}-{_PHASES[phase]}.{number}"
    return given


def read_deprecation(headers: Mapping[str, str]) -> Deprecation | None:
    """The notice in a response's headers: `Deprecation: true`, or a date as RFC 9745 has it."""
    value = headers.get("deprecation", "")
    dated = _DATED.fullmatch(value)
    if value != "true" and not dated:
        return None
    warning = headers.get("warning")
    message = f"Arkor SDK {sdk_version()} is deprecated"
    if warning:
        quoted = _WARNING.match(warning)
        message = quoted[1] if quoted else warning
    elif dated and (day := _day(int(dated[1]))):
        message += f" from {day} on"
    return Deprecation(sdk_version(), message, headers.get("sunset"))


async def notify(notice: Deprecation, handler: DeprecationHandler | None) -> None:
    """Hand a notice to `handler`, else keep it as the process's latest.

    A handler that raises is logged: a notice must not fail the call that brought it.
    """
    if handler is None:
        _latest[:] = [notice]
        return
    try:
        outcome = handler(notice)
        if inspect.isawaitable(outcome):
            await outcome
    except Exception:
        _log.exception("the handler of deprecation notices raised")


def unsupported_message(body: object) -> str:
    """The text for a 426: which version is refused, what is supported, how to upgrade."""
    upgrade = f"Upgrade with `{upgrade_command()}`."
    match body:
        case {"currentVersion": str(current), "supportedRange": str(supported), **more}:
            served = f"the backend serves {supported}. {upgrade}"
        case _:
            return f"Arkor SDK is no longer supported by this backend. {upgrade}"
    refused = f"Arkor SDK {current} is no longer supported"
    if (reason := more.get("reason")) in ("missing", "malformed"):
        refused += f" (the X-Arkor-Client header was {reason})"
    return f"{refused}; {served}"


def upgrade_command(prefix: str = sys.prefix, installer: str | None = None) -> str:
    """The command that upgrades Arkor in the environment at `prefix`.

    `installer` is what installed it, by default what the package's metadata says (PEP 376).
    """
    where = Path(prefix)
    # Both leave a file behind, wherever their folders are set to be.
    if (where / "uv-receipt.toml").exists() or where.parts[-3:-1] == ("uv", "tools"):
        return "uv tool upgrade arkor"
    if (where / "pipx_metadata.json").exists() or where.parts[-3:-1] == ("pipx", "venvs"):
        return "pipx upgrade arkor"
    installer = (_installer() if installer is None else installer).lower()
    if installer.startswith("uv"):
        locked = (where.parent / "uv.lock").exists()
        return "uv sync --upgrade-package arkor" if locked else "uv pip install --upgrade arkor"
    if installer.startswith("poetry"):
        return "poetry update arkor"
    if installer.startswith("conda"):
        return "conda update arkor"
    return "python -m pip install --upgrade arkor"


def _installer() -> str:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return (distribution("arkor").read_text("INSTALLER") or "").strip()
    except PackageNotFoundError:
        return ""


def _day(seconds: int) -> str | None:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return None
