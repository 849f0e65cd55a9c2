"""`arkor resume` and `arkor adopt`: runs that an earlier process left behind."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arkor.cli.arguments import Id
from arkor.cli.completion import complete_left
from arkor.cli.door import Exit, say_error
from arkor.cli.follow import Following
from arkor.cli.place import store_home, working_in
from arkor.cli.render import note, show, show_table, when
from arkor.core.state import RunState
from arkor.errors import ArkorError, ConfigError

if TYPE_CHECKING:
    from arkor.runner.options import TrainerOptions

__all__ = ["adopt", "resume"]


def resume(
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A run's or a job's id, a unique prefix of one, or @last; without one, the only "
            "run of this project that nobody waits on any more.",
            show_default=False,
            autocompletion=complete_left,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every run that nobody waits on, of any project, in turn."),
    ] = False,
    submit_again: Annotated[
        bool,
        typer.Option(
            "--submit-again", help="None of the jobs that may be the run is it: send it again."
        ),
    ] = False,
) -> None:
    """Take a run over, and follow it to its end with the callbacks of the entry it began with.

    The entry's code runs from its project's root. Exits as `start` does; with `--all`, with the
    highest of its runs' codes.

    Examples: `arkor resume`, `arkor resume 01KA`, `arkor resume --all`
    """
    if everything and (id is not None or submit_again):
        raise typer.BadParameter("--all goes with neither an ID nor --submit-again")
    home = store_home()
    if everything:
        raise typer.Exit(_resume_all(home))
    raise typer.Exit(_resume(id or _only_orphan(home), home, submit_again=submit_again))


def adopt(
    run: Id,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's whole id.")],
) -> None:
    """Say which job is the one that a run in doubt submitted.

    A start whose answer was lost names the jobs that it may be.

    Example: `arkor adopt 01KA 2f1c9a52-7d0e-4c38-9f51-6a2b9f3d0c11`
    """
    from arkor.runner.takeover import adopt_job
    from arkor.store.journal import open_journal

    options = _options(store_home())
    run_id = open_journal(options.home).resolve(run)
    adopted = asyncio.run(adopt_job(run_id, job, options=options))
    show(f"Run {run_id} is job {adopted.id}, which is {adopted.status}")
    note(f"`arkor resume {run_id}` follows it to its end")


def _resume(id: str, home: Path, *, submit_again: bool = False) -> int:
    from arkor.runner.recorded import recorded_root
    from arkor.store.journal import open_journal

    state = open_journal(home).run(id)
    with working_in(recorded_root(state)):
        return _take_over(state, home, submit_again)


def _take_over(state: RunState, home: Path, submit_again: bool) -> int:
    from arkor.runner.recorded import load_recorded
    from arkor.runner.takeover import resume_run, resume_with

    recorded = load_recorded(state)
    if recorded is None:
        note(
            f"run {state.run_id} was started by a script of its own: it is recorded to its end, "
            "and its callbacks are not called; what they are owed, that script delivers when it "
            "is started again"
        )
        take = partial(
            resume_run,
            state.run_id,
            deliver=False,
            submit_again=submit_again,
            options=_options(home),
        )
        return Following(take, run_id=state.run_id, home=home).run()
    if recorded.changed:
        note(f"changed since the run began: {', '.join(recorded.changed)}")
    taking = partial(
        resume_with, state.run_id, recorded.trainer, submit_again=submit_again, home=home
    )
    return Following(taking, run_id=state.run_id, home=home).run()


def _resume_all(home: Path) -> int:
    from arkor.runner.takeover import orphans

    left = orphans(_options(home))
    if not left:
        note("no run was left behind")
    worst = int(Exit.OK)
    for place, run_id in enumerate(left, 1):
        note(f"run {run_id} ({place} of {len(left)})")
        try:
            code = _resume(run_id, home)
        except (ArkorError, OSError) as error:  # the others are not to wait for this one
            code = say_error(error)
        worst = max(worst, code)
        if code in (Exit.INTERRUPTED, Exit.TERMINATED):
            break
    return worst


def _only_orphan(home: Path) -> str:
    """The one orphan of this project. Raises `ConfigError` for none and for several."""
    from arkor.runner.takeover import orphans
    from arkor.store.journal import open_journal
    from arkor.store.state import project_root

    left = orphans(_options(home), project=project_root())
    if len(left) == 1:
        return left[0]
    if not left:
        raise ConfigError(
            "no run of this project was left behind; `arkor runs` lists them all, and "
            "`arkor resume --all` looks at every project"
        )
    rows = map(open_journal(home).row, left)
    show_table(
        ("run", "name", "status", "job", "created"),
        ((row.run_id, row.name, row.status, row.job_id, when(row.created_at)) for row in rows),
    )
    raise ConfigError(
        f"{len(left)} runs of this project were left behind; name one: arkor resume ID, "
        "or take them all: arkor resume --all"
    )


def _options(home: Path) -> "TrainerOptions":
    from arkor.runner.options import TrainerOptions

    return TrainerOptions(home=home)
