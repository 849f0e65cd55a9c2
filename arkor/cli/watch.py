"""`arkor watch`: a run that another process follows, or nobody, looked at from here."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from arkor.cli.arguments import Id
from arkor.cli.door import Exit
from arkor.cli.follow import say_end
from arkor.cli.interrupt import Interrupted, run_interruptibly
from arkor.cli.place import store_home
from arkor.cli.progress import POLL, Progress
from arkor.cli.render import note, show
from arkor.core.fold import fold_all
from arkor.core.state import RunState
from arkor.core.wire import Job
from arkor.runner.contact import Contact
from arkor.runner.pace import Pace, observe
from arkor.runner.progress_view import open_view
from arkor.runner.shapes import is_left

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["watch", "watch_run"]


def watch(id: Id) -> None:
    """Watch a run until its end, whoever follows it. Changes nothing.

    Where a living process follows the run, its journal is read. Else the backend is asked:
    nothing is recorded then and no callback is called, which `arkor resume` does. Exits 0
    completed, 1 failed, 3 cancelled, 4 if the end cannot be seen from here.

    Example: `arkor watch @last`
    """
    raise typer.Exit(watch_run(id))


def watch_run(id: str) -> int:
    """Watch a run until its end, and say how it ended; the exit code that this is."""
    from arkor.store.journal import open_journal

    home = store_home()
    journal = open_journal(home)
    run_id = journal.resolve(id)
    try:
        return _say(run_interruptibly(_until_end(journal, run_id, home)), journal, home)
    except Interrupted as interrupted:
        note(f"no longer watching; the run goes on, and `arkor cancel {run_id}` stops it")
        return 128 + interrupted.signum


async def _until_end(journal: "Journal", run_id: str, home: Path) -> RunState:
    """The run's state when it has ended, or when nobody keeps it any more."""
    state, remarked = journal.run(run_id), False
    if state.terminal:
        return state
    show(f"Watching job {state.job_id}" if state.job else f"Watching run {run_id}", at_once=True)
    with Progress(home, run_id):
        while True:
            # The lease first: what its process recorded before it gave the run up is read then.
            lease = journal.lease(run_id)
            state = fold_all(journal.records(run_id, after=state.records), state)
            if state.terminal or lease is None or is_left(lease):
                return state
            if lease.state == "idle" and not remarked:
                remarked = True
                note(
                    f"process {lease.owner.pid} on {lease.owner.host} keeps the run, but does not "
                    f"follow it at the moment; `arkor resume {run_id}` takes it over"
                )
            await asyncio.sleep(POLL)


def _say(state: RunState, journal: "Journal", home: Path) -> int:
    if state.terminal and state.job is not None:
        return say_end(state.job)
    if state.terminal:
        note(f"the backend has refused run {state.run_id}; there is no job")
        return Exit.UNFINISHED
    lease = journal.lease(state.run_id)
    was = f" (process {lease.owner.pid} on {lease.owner.host} did)" if lease else ""
    resume = f"`arkor resume {state.run_id}`"
    if state.job is None:
        note(f"error: nobody follows run {state.run_id} any more{was}; {resume} takes it up")
        return Exit.UNFINISHED
    note(
        f"nobody follows run {state.run_id} any more{was}: this is what the backend says, and "
        f"nothing of it is recorded; job {state.job_id} may use its GPU; {resume} takes it up"
    )
    return say_end(run_interruptibly(_look_on(state, journal, home)))


async def _look_on(state: RunState, journal: "Journal", home: Path) -> Job:
    """The job when it has ended at the backend; its progress is shown meanwhile."""
    from arkor.runner.onlooker import look_on
    from arkor.runner.options import TrainerOptions

    pace = Pace()
    for record in journal.records(state.run_id):
        pace = observe(pace, record)
    with closing(open_view()) as view:

        def tell(pace: Pace, contact: Contact) -> None:
            view.hear(contact)
            if pace.step:
                view.show(pace)

        tell(pace.rested(), Contact())
        return await look_on(state, pace.rested(), tell, options=TrainerOptions(home=home))
