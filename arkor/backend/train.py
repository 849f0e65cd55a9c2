"""The training worker: `python -m arkor.backend.train JOBDIR [--watch-stdin]`.

Reads `JOBDIR/job.json` and writes one event a line on standard output, all else on standard
error. Started again on the same folder it repeats its events up to the last whole checkpoint and
goes on from there; the backend sees to it that one process at a time has the folder. SIGTERM:
saves, sends `cancelled`, ends. With `--watch-stdin` the end of standard input means that the
parent is gone, and ends the process at once.
"""

import argparse
import errno
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from arkor.backend.channel import Channel, exit_with_parent
from arkor.backend.checkpoints import checkpoint_saved, complete_checkpoints, drop_incomplete
from arkor.backend.dataset import load_rows
from arkor.backend.eventlog import EventLog
from arkor.backend.model import find_model, in_brief, is_local, prepare_libraries
from arkor.backend.options import Options
from arkor.backend.rows import detect, lessons
from arkor.errors import ConfigError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Train one job; 0 whenever an event tells how it ended."""
    parser = argparse.ArgumentParser(prog="python -m arkor.backend.train")
    parser.add_argument("jobdir", type=Path)
    parser.add_argument("--watch-stdin", action="store_true")
    given = parser.parse_args(arguments)
    channel = Channel.take_stdout()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C at the parent's terminal is the parent's to act on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if given.watch_stdin:
        exit_with_parent()
    log = EventLog(given.jobdir / "events.jsonl", channel)
    try:
        _train(given.jobdir, log, stop)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        step = {} if log.last_step is None else {"step": log.last_step}
        channel.send({"type": "training.failed", "error": _sentence(error, given.jobdir), **step})
    return 0


def _train(jobdir: Path, log: EventLog, stop: threading.Event) -> None:
    if log.completed():
        log.repeat()
        return
    drop_incomplete(jobdir)
    reached = max(complete_checkpoints(jobdir), default=0)
    log.repeat(until=reached)
    if reached:
        log.send(checkpoint_saved(reached, jobdir))
    job = json.loads((jobdir / "job.json").read_text("utf-8"))
    home = Path(job["home"])
    options = Options.read(job["config"])
    found = find_model(options.model, home)
    _set_environment(local=is_local(found) and options.source["type"] != "huggingface")
    rows = load_rows(options, home=home, jobdir=jobdir)
    form = options.format or detect(rows.train[0])
    train, evaluate = lessons(rows.train, form), lessons(rows.evaluate, form)

    from arkor.backend.tuning import Lessons, tune

    tune(
        options,
        Lessons(train, evaluate),
        found=found,
        jobdir=jobdir,
        send=log.send,
        stop=stop,
    )


def _set_environment(*, local: bool) -> None:
    offline = {"HF_HUB_OFFLINE": "1"} if local else {}
    prepare_libraries(CUDA_VISIBLE_DEVICES="0", HF_DATASETS_DISABLE_PROGRESS_BARS="1", **offline)


def _sentence(error: Exception, jobdir: Path) -> str:
    """What went wrong, in one sentence for people; the traceback is on standard error."""
    match error:
        case ConfigError():
            return str(error)
        case ModuleNotFoundError():
            return (
                f"training needs the Python module {error.name}, which is not installed; "
                "install arkor[backend]"
            )
    # safetensors has an exception of its own for a failed write.
    if os.strerror(errno.ENOSPC) in str(error):
        return _disk_full(jobdir)
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU's memory is too small for this job; give a smaller batchSize or maxLength"
    return f"{type(error).__name__}: {in_brief(error)}"


def _disk_full(jobdir: Path) -> str:
    said = "the disk is full; free some space and submit the job anew"
    if saved := complete_checkpoints(jobdir):
        return f"{said}. Its last checkpoint is kept at jobs/{jobdir.name}/checkpoint-{max(saved)}"
    return said


if __name__ == "__main__":
    sys.exit(main())
