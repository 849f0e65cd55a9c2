"""How soon a run goes on whose process died, with ten thousand to a million records in its log."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from measure import Figure, Row, Size, source

TITLE = "From the start of a process to the first call that is owed"

PHASES = {"imported": "imports", "called": "first call owed", "new": "first new event's call"}


def rows(size: Size) -> list[Row]:
    found = []
    for count in sorted({size.of(full, 4500) for full in (10_000, 100_000, 1_000_000)}):
        for stateful in (False, True):
            # One that is rebuilt is called for every record first, which `reading` measures.
            if not stateful or count < 1_000_000:
                found += _rows_of(count, stateful, max(1, size.rounds // 3))
    return found


def _rows_of(count: int, stateful: bool, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder, ExitStack() as stack:
        url = stack.enter_context(source(count + 50_000, "big"))
        _record(folder, url, count, stateful=stateful)
        took = [_resume(folder, number, url, stateful=stateful) for number in range(rounds)]
    kind = ", a set that is rebuilt" if stateful else ""
    return [
        Row(f"{count:,} records{kind}: {PHASES[name]}", Figure(tuple(t[name] for t in took)), "s")
        for name in PHASES
    ]


def _record(folder: str, url: str, count: int, *, stateful: bool) -> None:
    """Have a process record so many events, and kill it."""
    with _start(folder, url, stateful=stateful, slow=True) as process:
        while _records(Path(folder) / "arkor.db") < count:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def _records(path: Path) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as journal:
        try:
            return int(journal.execute("SELECT max(seq) FROM records").fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return 0  # the schema is not there yet


def _resume(folder: str, number: int, url: str, *, stateful: bool) -> dict[str, float]:
    """Seconds from the start of a process, on a copy of what is there, to what it says."""
    copy = f"{folder}-{number}"
    shutil.copytree(folder, copy)
    began = time.monotonic()
    with _start(folder, url, home=copy, stateful=stateful, slow=False) as process:
        told = dict(line.split() for line in process.stdout or ())
    shutil.rmtree(copy)
    return {name: float(at) - began for name, at in told.items()}


def _start(
    folder: str, url: str, home: str | None = None, **given: object
) -> "subprocess.Popen[str]":
    # The folder is the project's, whichever store is used.
    environ = {**os.environ, "ARKOR_HOME": home or folder, "HOME": folder}
    command = [sys.executable, __file__, json.dumps({"url": url, **given})]
    return subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.PIPE, text=True)


def follow(url: str, *, stateful: bool, slow: bool) -> None:
    """Follow the run and say what happens when, until a new event's call; or until killed."""
    from ingest import trainer

    import arkor

    began = datetime.now(UTC)
    assert arkor.create_trainer
    _say("imported")

    class Callbacks:
        name, replays, called = "main", stateful, False

        async def on_log(self, ctx: "LogContext") -> None:  # noqa: F821
            if ctx.replaying:
                return
            if not self.called:
                self.called = True
                _say("called")
            if ctx.now > began:
                _say("new")
                os.kill(os.getpid(), signal.SIGKILL)

    trainer(url, callbacks={"on_checkpoint": print} if slow else Callbacks()).wait_sync()


def _say(what: str) -> None:
    print(what, time.monotonic(), flush=True)


__all__ = ["PHASES", "TITLE", "follow", "rows"]

if __name__ == "__main__":
    follow(**json.loads(sys.argv[1]))
