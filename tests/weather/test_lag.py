"""Delivery behind the log: what is owed then is not lost when the process dies."""

import threading
import time
from pathlib import Path

from live_backend import LiveBackend
from watcher import Process

from arkor.store.journal import Journal

LOG = "training.log"


def hear(process: Process, kind: str) -> tuple[object, ...]:
    while (said := process.hear())[0] != kind:
        assert said[0] == "call", said
    return said


def test_a_run_that_ended_unseen_is_adopted_though_a_call_had_raised_before(
    tmp_path: Path,
) -> None:
    """The call raised while the run went on; the process died before it could be made again."""
    with LiveBackend() as backend:
        first = Process(1, backend.url, str(tmp_path))
        assert first.hear() == ("started", "job-1")
        first.pipe.send(("fault", "logs"))
        assert first.hear() == ("armed",)
        first.pipe.send("wait")
        backend.emit("job-1", LOG, "1", step=1, n=1)
        assert hear(first, "raised") == ("raised", "FaultError")
        first.pipe.send(("hang", "logs"))
        assert first.hear() == ("armed",)
        backend.emit("job-1", "training.completed", "2", n=2)
        first.pipe.send("wait")
        assert first.hear() == ("call", "logs", "on_log", 1, 2)
        ended_unseen(tmp_path)
        list(first.kill())
        second = Process(2, backend.url, str(tmp_path))
        assert second.hear() == ("started", "job-1")
        second.pipe.send("wait")
        assert second.hear() == ("call", "logs", "on_log", 1, 3)
        assert hear(second, "ended") == ("ended", "completed")
        list(second.kill())


def ended_unseen(folder: Path) -> None:
    """Return once the log holds the run's end."""
    journal, pause = Journal(folder / "store" / "arkor.db"), threading.Event()
    deadline = time.monotonic() + 30
    while not journal.run("job-1").terminal:
        assert time.monotonic() < deadline
        pause.wait(0.01)
    journal.close()
