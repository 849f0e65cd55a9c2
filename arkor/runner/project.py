"""A project's trainer: loaded from its entry, and run to its end."""

from pathlib import Path
from typing import cast

from arkor.runner.manifest import Arkor, create_arkor, find_trainer, is_arkor
from arkor.runner.sync import run_blocking
from arkor.runner.trainer import Trainer, TrainingResult

__all__ = [
    "Arkor",
    "create_arkor",
    "is_arkor",
    "load_trainer",
    "run_trainer",
    "run_trainer_sync",
]


def load_trainer(entry: Path | str | None = None) -> Trainer:
    """The trainer of `entry`: a source file, a built artifact, or the project's default.

    The entry's code runs anew with each call. Raises `EntryError` if there is no such file, if
    it cannot be imported, or if it exports no trainer.
    """
    from arkor.runner.entry import load_entry  # only who loads an entry pays for its machinery

    return cast(Trainer, find_trainer(load_entry(entry).module))


async def run_trainer(entry: Path | str | None = None, *, check: bool = False) -> TrainingResult:
    """Start the trainer of `entry`, wait for its end, and print its job's id and status.

    Returns for `completed`, `failed` and `cancelled` alike unless `check` is set, which raises
    `TrainingFailedError` or `TrainingCancelledError`. Raises besides what `load_trainer`,
    `Trainer.start` and `Trainer.wait` raise.
    """
    trainer = load_trainer(entry)
    started = await trainer.start()
    print(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}", flush=True)
    result = await trainer.wait()
    print(f"Job {started.job_id} finished with status={result.status}", flush=True)
    if check:
        result.raise_for_status()
    return result


def run_trainer_sync(entry: Path | str | None = None, *, check: bool = False) -> TrainingResult:
    """Do what `run_trainer` does, blocking; callbacks run in a loop of this call."""
    return run_blocking(lambda: run_trainer(entry, check=check))
