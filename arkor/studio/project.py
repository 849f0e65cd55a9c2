"""The project's trainer as `arkor start --check` finds it: in another process, not in Studio's."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Checked", "Project"]

PATIENCE: Final = 60.0
"""Seconds that the entry's code may take to load."""

MOST_SOURCES: Final = 5000
"""Files that are looked at to see whether one has changed."""

_APART: Final = frozenset({"node_modules", "venv", "__pycache__", "dist", "build", "outputs"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What the entry asks for, or the `problem` for which it cannot be loaded."""

    asks: Mapping[str, Any] | None = None
    problem: str | None = None


class Project:
    """The trainer of a project; its code is run again only when one of its sources has changed."""

    def __init__(self, root: Path, home: Path) -> None:
        self._root = root
        self._home = home
        self._lock = threading.Lock()
        self._known: tuple[object, Checked] | None = None

    def check(self) -> Checked:
        """The trainer as the sources are now. Of several who ask at once, one runs the code."""
        with self._lock:
            seen = tuple(_sources(self._root))
            if self._known is None or self._known[0] != seen or self._known[1].problem:
                self._known = (seen, self._run())
            return self._known[1]

    def _run(self) -> Checked:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "arkor", "start", "--check", "--json"],
                cwd=self._root,
                env={**os.environ, "ARKOR_HOME": str(self._home), "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Checked(problem=f"the entry takes more than {PATIENCE:.0f} s to load")
        except OSError as error:
            return Checked(problem=f"the entry cannot be loaded: {error.strerror}")
        if done.returncode:
            return Checked(problem=_last_line(done.stderr))
        # What the entry itself prints comes first.
        start = done.stdout.find("\n{\n") + 1
        try:
            return Checked(asks=json.loads(done.stdout[start:]))
        except ValueError:
            return Checked(problem="the entry prints what cannot be told from its check")


def _sources(root: Path) -> Iterator[tuple[str, int, int]]:
    """Name, time and size of what the trainer may be made of."""
    left = MOST_SOURCES
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in _APART
        )
        for name in sorted(names):
            if name.endswith((".py", ".toml", ".jsonl")):
                left -= 1
                found = os.stat(os.path.join(folder, name))
                yield os.path.join(folder, name), found.st_mtime_ns, found.st_size
        if left < 0:
            return


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("error: ")), None)
    return (said or (lines or ["it ended without a word"])[-1]).removeprefix("error: ")
