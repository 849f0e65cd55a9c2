"""What ran, and where: the facts about code and machine that the journal keeps of a run."""

import hashlib
import os
import platform
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from arkor.client.notices import sdk_version
from arkor.runner.callbacks import BoundCallbacks
from arkor.runner.code import describe_callbacks
from arkor.store.state import project_root

__all__ = ["EntrySource", "current_entry", "describe", "loading", "python_version"]

GIT_TIMEOUT: Final = 2.0
"""Seconds that git may take; a repository that is slower stays undescribed."""

ELSEWHERE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
"""Variables that a git hook sets, and that would have git describe its repository."""

PACKAGES: Final = ("sqlalchemy", "httpx", "torch")
"""Packages whose versions are kept where the process has imported them."""


@dataclass(frozen=True, slots=True)
class EntrySource:
    """The entry that a trainer comes from.

    `digests` maps the path of each project module that was executed, relative to
    `project_root`, to its SHA-256. It grows while the entry is being loaded, and with what its
    functions import later. `artifact_sha256` is that of the built file, if `path` is one.
    """

    path: Path
    project_root: Path
    digests: dict[str, str] = field(default_factory=dict)
    artifact_sha256: str | None = None

    @property
    def name(self) -> str:
        """The path relative to the project's root, if it is below that, with `/`."""
        if self.path.is_relative_to(self.project_root):
            return self.path.relative_to(self.project_root).as_posix()
        return str(self.path)


_loading: ContextVar[EntrySource | None] = ContextVar("arkor_loading", default=None)


def current_entry() -> EntrySource | None:
    """The entry that is being loaded right now, so that a trainer can remember it."""
    return _loading.get()


@contextmanager
def loading(source: EntrySource) -> Iterator[None]:
    """Make `source` the current entry."""
    token = _loading.set(source)
    try:
        yield
    finally:
        _loading.reset(token)


def describe(entry: EntrySource | None, consumers: Sequence[BoundCallbacks] = ()) -> dict[str, Any]:
    """The facts as JSON: machine, user, versions, code digests, git commit, callback sets.

    Without an entry, the digests are those of the modules of the project that the running
    script is in. No environment variable and no argument of the command line is among them,
    and no code of the user runs. Asks git, so it may block for two seconds.
    """
    script = _script()
    root = entry.project_root if entry else project_root(script.parent if script else None)
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": _user(),
        "arkor": sdk_version(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": _packages(),
        "entry": entry.name if entry else None,
        "project_root": str(root),
        "script": script.name if script else None,
        "digests": dict(sorted((entry.digests if entry else _loaded_below(root)).items())),
        "artifact_sha256": entry.artifact_sha256 if entry else None,
        "git": _git(root),
        "callbacks": [
            describe_callbacks(each.name, each.origin, each.functions) for each in consumers
        ],
    }


def python_version() -> str:
    """The version that decides which code runs: `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _script() -> Path | None:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).absolute() if file else None


def _user() -> str:
    # Not what the environment says, which anybody may set.
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container whose user id has no name
        return str(os.geteuid())


def _packages() -> dict[str, str]:
    found = {name: getattr(sys.modules.get(name), "__version__", None) for name in PACKAGES}
    return {name: str(version) for name, version in found.items() if version is not None}


def _loaded_below(root: Path) -> dict[str, str]:
    from arkor.runner.sources import is_own

    digests: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] == "arkor" or not is_own(file, root):
            continue
        try:
            content = Path(file).read_bytes()
        except OSError:  # deleted since it was imported: nothing to vouch for
            continue
        digests[Path(file).relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return digests


def _git(root: Path) -> dict[str, Any] | None:
    """The commit and whether tracked files differ from it; `None` outside of a repository."""
    command = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch"]
    try:
        status = subprocess.run(
            [*command, "--untracked-files=no"],
            cwd=root,
            env={name: value for name, value in os.environ.items() if name not in ELSEWHERE}
            | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = status.stdout.splitlines()
    commits = [line.removeprefix("# branch.oid ") for line in lines if "# branch.oid " in line]
    commit = commits[0] if commits and commits[0] != "(initial)" else None
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}
