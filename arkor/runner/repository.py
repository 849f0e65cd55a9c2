"""A new project's git repository and its first commit. A failure of git is never one of ours."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Committed", "commands", "first_commit", "is_in_repository"]

LIMIT: Final = 120
"""Seconds that git may take: it may wait for a passphrase."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Whether the first commit was made, and what should be said about it."""

    done: bool
    warning: str | None = None


class _Refused(Exception):
    """Git did not do it; the text is its own."""


def commands(command: str, paths: Sequence[str]) -> tuple[str, ...]:
    """What a person types to do the same."""
    return ("git init", f"git add {' '.join(paths)}", f"git commit -m '{_message(command)}'")


def is_in_repository(folder: Path) -> bool:
    """Whether `folder`, or the nearest one above it that exists, is inside a git repository."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        return _git(there, "rev-parse", "--is-inside-work-tree").strip() == "true"
    except _Refused:
        return False


def first_commit(folder: Path, paths: Sequence[str], *, command: str) -> Committed:
    """Make `folder` a repository, and commit `paths` in the name of `arkor COMMAND`.

    Files that somebody's git ignores are left out. If signing fails, the commit is made without
    a signature, and the warning says so.
    """
    message = ("commit", "-q", "-m", _message(command))
    try:
        _git(folder, "init", "-q")
        _git(folder, "add", "--", *_wanted(folder, paths))
        try:
            _git(folder, *message)
        except _Refused as refused:
            if not _signs(folder):
                raise
            _git(folder, *message, "--no-gpg-sign")
            return Committed(True, f"the first commit is not signed: {refused}")
    except _Refused as refused:
        return Committed(False, f"nothing is committed: {refused}")
    return Committed(True)


def _message(command: str) -> str:
    return f"Initial commit from `arkor {command}`"


def _wanted(folder: Path, paths: Sequence[str]) -> list[str]:
    try:
        ignored = _git(folder, "check-ignore", "--", *paths).splitlines()
    except _Refused:
        ignored = []  # exit code 1: none is
    return [path for path in paths if path not in ignored]


def _signs(folder: Path) -> bool:
    try:
        return _git(folder, "config", "--type=bool", "commit.gpgsign").strip() == "true"
    except _Refused:
        return False


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ("git", *arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=LIMIT,
        )
    except OSError as error:
        raise _Refused(f"git cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise _Refused(f"git {arguments[0]} took over {LIMIT} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise _Refused(said[-1] if said else f"git {arguments[0]} failed")
    return done.stdout
