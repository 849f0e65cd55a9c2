"""Where a crash happens: a home, a project, a scripted backend, and children to kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker import Verdict, judge

from arkor.testing import ScriptedBackend, Wait

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[2]

Events = Sequence[Mapping[str, Any] | Wait]


def story(events: int, *, checkpoint_every: int = 4, pause: float = 0.0) -> list[Any]:
    """A run of so many events, with `pause` seconds before each, so that it is long enough to kill."""
    told: list[Any] = []
    for number in range(2, events):
        if pause:
            told.append(Wait(pause))
        if number % checkpoint_every == 0:
            told.append({"type": "checkpoint.saved", "step": number})
        else:
            told.append({"type": "training.log", "step": number, "loss": 1 / number})
    last = {"type": "training.completed", "artifacts": [{"pathname": "adapter"}]}
    return [{"type": "training.started"}, *told, last]


@dataclass
class Scene:
    """One run's surroundings, in a folder of its own."""

    folder: Path
    backend: ScriptedBackend

    @property
    def told(self) -> Path:
        """What the children wrote down."""
        return self.folder / "told"

    @property
    def database(self) -> Path:
        """The journal's file."""
        return self.folder / "store" / "arkor.db"

    def lines(self) -> list[dict[str, Any]]:
        """What the children have written down by now."""
        if not self.told.exists():
            return []
        return [json.loads(line) for line in self.told.read_text().splitlines()]

    def start(self, *wrapper: str, **given: Any) -> subprocess.Popen[bytes]:
        """Start a child, behind the command `wrapper` if one is given."""
        settings = {"url": self.backend.url, "told": str(self.told), **given}
        clean = {name: each for name, each in os.environ.items() if not name.startswith("ARKOR_")}
        own = {"HOME": str(self.folder), "ARKOR_HOME": str(self.folder / "store")}
        with (self.folder / "stderr").open("ab") as stderr:
            return subprocess.Popen(
                [*wrapper, sys.executable, str(CHILD), json.dumps(settings)],
                cwd=self.folder / "project",
                env={**clean, **own, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def run(self, *wrapper: str, **given: Any) -> int:
        """Run a child to its end; its exit code."""
        with self.start(*wrapper, **given) as child:
            child.communicate(timeout=100)
        return child.returncode

    def finish(self, **given: Any) -> Verdict:
        """Run a child that nobody kills, then judge."""
        code = self.run(**given)
        assert code == 0, f"{self.lines()[-1:]}\n{self.stderr()}"
        return self.judge()

    def judge(self) -> Verdict:
        """The independent verdict."""
        return judge(self.database, self.told, self.backend.url, len(self.backend.jobs))

    def stderr(self) -> str:
        """What all children said there."""
        return (self.folder / "stderr").read_text()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Read, or change, the journal behind Arkor's back."""
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                return connection.execute(query).fetchall()
        finally:
            connection.close()


@contextmanager
def scene(folder: Path, events: Events, **backend: Any) -> Iterator[Scene]:
    """A scene in `folder`, which is made."""
    (folder / "project").mkdir(parents=True)
    with ScriptedBackend(events, **backend) as scripted:
        yield Scene(folder, scripted)


def kill(child: subprocess.Popen[bytes]) -> bool:
    """kill -9; whether it was still there to be killed."""
    child.kill()
    child.communicate()
    return child.returncode == -signal.SIGKILL
