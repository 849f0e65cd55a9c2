"""`arkor start` and `arkor build`: a project's trainer, run or packed."""

import os
import signal
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkor.cli.door import Exit
from arkor.cli.interrupt import Interrupted, run_interruptibly
from arkor.cli.place import store_home
from arkor.cli.progress import Progress
from arkor.cli.render import note, show

if TYPE_CHECKING:
    from arkor.runner.trainer import Trainer, TrainingResult

__all__ = ["build", "start"]

ENDED = {"completed": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}
"""The exit code of each end."""

Entry = Annotated[
    Path | None,
    typer.Argument(
        help="A source file or a built artifact; without one, the project's own entry.",
        show_default=False,
    ),
]


def build(entry: Entry = None) -> None:
    """Pack the entry and the project's modules it imports into `.arkor/build/index.pyz`.

    The same sources give the same bytes. `arkor start .arkor/build/index.pyz` runs them.
    """
    from arkor.runner.build import build as pack

    built = pack(entry)
    show(f"Built {_relative(built.entry)} → {_relative(built.path)}")
    note(f"sha256 {built.sha256}")


def start(
    entry: Entry = None,
    backend: Annotated[
        str | None,
        typer.Option(help="`local` trains on this machine; else a URL.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="At most 50 rows and 10 steps.")
    ] = False,
    run_key: Annotated[
        str | None,
        typer.Option(help="One key, one run, for ever: a finished one is not run again."),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Submit a new run even if one could be resumed.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the backend has accepted the run.")
    ] = False,
) -> None:
    """Run the project's trainer and follow it to its end; started again, it goes on.

    Exits 0 completed, 1 failed, 2 usage, 3 cancelled, 4 no end was reached, 5 a callback
    raised, 130 or 143 interrupted (the run goes on).

    Examples: `arkor start --backend local`, `arkor start train.py --run-key nightly-2026-11-24`
    """
    if new and run_key is not None:
        raise typer.BadParameter("--new and --run-key exclude each other: a key means one run")
    if backend is not None:
        os.environ["ARKOR_CLOUD_API_URL"] = backend
    from arkor.runner.project import load_trainer

    changes: dict[str, Any] = {}
    if dry_run:
        changes["dry_run"] = True
    if run_key is not None:
        changes["run_key"] = run_key
    if new:
        changes["resume"] = "never"
    trainer = load_trainer(entry)
    raise typer.Exit(_run(trainer.with_options(**changes) if changes else trainer, detach))


def _run(trainer: "Trainer", detach: bool) -> int:
    try:
        return run_interruptibly(_follow(trainer, detach))
    except Interrupted as interrupted:
        note(f"interrupted: {_fate(trainer)}")
        return 128 + interrupted.signum if interrupted.signum != signal.SIGALRM else 130


async def _follow(trainer: "Trainer", detach: bool) -> int:
    started = await trainer.start()
    show(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}", at_once=True)
    if detach:
        note(f"detached: {_fate(trainer)}")
        return Exit.OK
    with Progress(store_home(), started.run_id) as progress:
        outcome = await _wait(trainer)
    if isinstance(outcome, Exception):
        return _unfinished(outcome, trainer, in_callback=progress.failed is not None)
    show(f"Job {started.job_id} finished with status={outcome.status}")
    if outcome.job.error:
        note(f"error: {outcome.job.error}")
    return ENDED.get(outcome.status, Exit.UNFINISHED)


async def _wait(trainer: "Trainer") -> "TrainingResult | Exception":
    try:
        return await trainer.wait()
    except Exception as error:  # reported when the progress has left the terminal
        return error


def _unfinished(error: Exception, trainer: "Trainer", *, in_callback: bool) -> int:
    """Report why no end was reached. What is neither ours nor a callback's is a bug of ours."""
    if not in_callback:
        note(_fate(trainer))
        raise error
    name = type(error).__name__
    note(f"error: a callback raised {name}: {error} ({_place(error)})")
    note(_fate(trainer))
    return Exit.CALLBACK


def _place(error: Exception) -> str:
    """Where it was raised: the innermost line of the project itself, else of anything."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    frame = (ours or frames)[-1]
    return f"{_relative(Path(frame.filename))}:{frame.lineno}"


def _fate(trainer: "Trainer") -> str:
    """What has become of the run, and what can be done about it."""
    job = trainer.job
    if job is None:
        return "the backend has not accepted the run yet; the same command again goes on with it"
    if job.terminal:
        return (
            f"job {job.id} has ended: {job.status}; what its callbacks are still owed stays in "
            f"the journal (`arkor show {trainer.run_id}`)"
        )
    return (
        f"job {job.id} goes on at the backend and may use its GPU; the same command again "
        f"follows it to its end, `arkor cancel {trainer.run_id}` stops it"
    )


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
