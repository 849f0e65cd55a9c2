"""Installing what a project needs, with the installer that the project is used with."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arkor.runner.pyproject import REQUIREMENT

__all__ = ["INSTALLERS", "Installer", "detect_installer", "install", "installer"]


@dataclass(frozen=True, slots=True)
class Installer:
    """One way to install a project's dependencies.

    `commands` do it, in turn, in the project's folder. A command line that begins with `run` runs
    in the project's environment. `because` says why this one was taken. `own` is set if that
    environment is the one that Arkor itself runs in.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    run: str
    because: str
    own: bool = False

    def __str__(self) -> str:
        """The commands, as one types them."""
        return " && ".join(" ".join(map(_quoted, command)) for command in self.commands)


def _uv(folder: Path, because: str) -> Installer:
    return Installer("uv", ((os.environ.get("UV") or "uv", "sync"),), "uv run ", because)


def _poetry(folder: Path, because: str) -> Installer:
    # The project is no package: there is nothing of its own to install.
    command = ("poetry", "install", "--no-root", "--no-interaction")
    return Installer("poetry", (command,), "poetry run ", because)


def _pip(folder: Path, because: str) -> Installer:
    """Pip of the project's `.venv`, else of the active environment, else of a new `.venv`."""
    install = ("-m", "pip", "install", REQUIREMENT)
    if (folder / ".venv" / "pyvenv.cfg").is_file():
        own = Path(sys.prefix) == (folder / ".venv").resolve()
        python = ".venv/bin/python"
        return Installer("pip", ((python, *install),), _unless_active(folder), because, own)
    if active := _active():
        own = Path(active) == Path(sys.prefix)
        return Installer("pip", ((_python_of(active), *install),), "", because, own)
    make = (sys.executable, "-m", "venv", ".venv")
    return Installer("pip", (make, (".venv/bin/python", *install)), ".venv/bin/", because)


INSTALLERS: Final[Mapping[str, Callable[[Path, str], Installer]]] = {
    "uv": _uv,
    "pip": _pip,
    "poetry": _poetry,
}


def installer(name: str, folder: Path, because: str = "asked for") -> Installer:
    """The installer of that name, one of `INSTALLERS`."""
    return INSTALLERS[name](folder, because)


def detect_installer(folder: Path) -> Installer | None:
    """The installer that `folder`, the launcher or the environment speak for, in this order.

    None if nothing does: a system's Python is nobody's to install into.
    """
    evidence = (
        ("uv", "uv.lock is here", (folder / "uv.lock").is_file()),
        ("poetry", "poetry.lock is here", (folder / "poetry.lock").is_file()),
        ("uv", "[tool.uv] is in pyproject.toml", _has_table(folder, "tool.uv")),
        ("poetry", "[tool.poetry] is in pyproject.toml", _has_table(folder, "tool.poetry")),
        ("uv", "started by uv", bool(os.environ.get("UV"))),
        ("poetry", "started by poetry", bool(os.environ.get("POETRY_ACTIVE"))),
        ("uv", ".venv is made by uv", _is_made_by_uv(folder / ".venv")),
        ("pip", ".venv is here", (folder / ".venv" / "pyvenv.cfg").is_file()),
        ("pip", "a virtual environment is active", bool(_active())),
    )
    for name, because, holds in evidence:
        if holds:
            return installer(name, folder, because)
    return None


def install(how: Installer, folder: Path) -> str | None:
    """Install, with the installer's own output on stderr. Returns what went wrong, if anything did."""
    for command in how.commands:
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=2, check=False
            )
        except OSError as error:
            return f"{command[0]} cannot be run: {error.strerror}"
        if done.returncode:
            return f"`{' '.join(map(_quoted, command))}` failed (exit code {done.returncode})"
    return None


def _active() -> str | None:
    """The folder of the virtual environment that is in use, if there is one to install into."""
    if active := os.environ.get("VIRTUAL_ENV"):
        return active
    # An environment that a tool made for the command `arkor` alone is that tool's.
    alone = any(part in Path(sys.prefix).parts for part in ("pipx", "tools", "archive-v0"))
    return None if sys.prefix == sys.base_prefix or alone else sys.prefix


def _python_of(environment: str) -> str:
    return sys.executable if environment == sys.prefix else f"{environment}/bin/python"


def _unless_active(folder: Path) -> str:
    active = _active()
    return "" if active and Path(active) == (folder / ".venv").resolve() else ".venv/bin/"


def _is_made_by_uv(environment: Path) -> bool:
    try:
        made = (environment / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "\nuv = " in f"\n{made}" and shutil.which("uv") is not None


def _has_table(folder: Path, name: str) -> bool:
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(line.startswith((f"[{name}]", f"[{name}.")) for line in text.splitlines())


def _quoted(word: str) -> str:
    return f"'{word}'" if "[" in word or " " in word else word
