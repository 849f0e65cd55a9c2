"""`arkor watch`: a run that another process follows, looked at from here."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from arkor.cli.arguments import Id
from arkor.cli.door import Exit
from arkor.cli.follow import say_end
from arkor.cli.interrupt import Interrupted, run_interruptibly
from arkor.cli.ownership import is_left
from arkor.cli.place import store_home
from arkor.cli.progress import POLL, Progress
from arkor.cli.render import note, show
from arkor.core.fold import RunState, fold_all

if TYPE_CHECKING:
    from arkor.store.journal import Journal
    from arkor.store.lease import Lease

__all__ = ["watch"]


def watch(id: Id) -> None:
    """Watch a run that another process follows, until its end. Changes nothing.

    Exits 0 completed, 1 failed, 3 cancelled, 4 if no living process follows the run.

    Example: `arkor watch @last`
    """
    from arkor.store.journal import open_journal

    home = store_home()
    journal = open_journal(home)
    run_id = journal.resolve(id)
    try:
        state = run_interruptibly(_until_end(journal, run_id, home))
    except Interrupted as interrupted:
        note(f"no longer watching; the run goes on, and `arkor cancel {run_id}` stops it")
        raise typer.Exit(128 + interrupted.signum) from interrupted
    raise typer.Exit(_say(state, journal.lease(run_id)))


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


def _say(state: RunState, lease: "Lease | None") -> int:
    if state.terminal and state.job is not None:
        return say_end(state.job)
    if state.terminal:
        note(f"the backend has refused run {state.run_id}; there is no job")
        return Exit.UNFINISHED
    job = f"job {state.job_id} goes on at the backend and may use its GPU; " if state.job else ""
    was = f" (process {lease.owner.pid} on {lease.owner.host} did)" if lease else ""
    note(
        f"error: nobody follows run {state.run_id} any more{was}; {job}"
        f"`arkor resume {state.run_id}` takes it up"
    )
    return Exit.UNFINISHED
