"""`arkor runs`, `show`, `events` and `cancel`: the journal's runs, read and stopped."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from arkor.cli.arguments import Id, Json
from arkor.cli.completion import STATUSES, complete_status
from arkor.cli.door import Exit
from arkor.cli.owners import owner_facts
from arkor.cli.ownership import in_words
from arkor.cli.place import journal, store_home
from arkor.cli.render import note, show, show_facts, show_json, show_json_line, show_table, when
from arkor.cli.wording import summary
from arkor.core.fold import fold
from arkor.core.owners import RecordedOwner, owner_of
from arkor.core.record import Record
from arkor.core.state import INITIAL, RunState
from arkor.errors import CloudApiError
from arkor.runner.shapes import (
    consumers_of,
    is_orphan,
    lease_of,
    owner_json,
    record_json,
    run_json,
    state_json,
)

if TYPE_CHECKING:
    from arkor.store.journal import Journal
    from arkor.store.lease import Lease

__all__ = ["cancel", "events", "runs", "show_run"]

CONFLICT: Final = 409
"""What a backend answers to a cancel of a job that has ended."""


def runs(
    as_json: Json = False,
    status: Annotated[
        str | None,
        typer.Option(
            help="Only runs with this status.", show_default=False, autocompletion=complete_status
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    everywhere: Annotated[
        bool, typer.Option("--all", help="Of every project, and not of this folder's alone.")
    ] = False,
) -> None:
    """List this project's runs, the newest first.

    Examples: `arkor runs`, `arkor runs --all --status failed`, `arkor runs --json`
    """
    from arkor.store.state import project_root

    book = journal()
    root = None if everywhere else str(project_root())
    found = book.runs(project_root=root, status=status, limit=limit)
    leases = [lease_of(book, row) for row in found]
    if as_json:
        show_json([run_json(*each) for each in zip(found, leases, strict=True)])
        return
    if not found:
        elsewhere = root is not None and bool(book.runs(limit=1))
        note(_none_found(status, elsewhere=elsewhere))
        return
    show_table(
        ("run", "name", "status", "job", "created", "owner"),
        (
            (row.run_id, row.name, row.status, row.job_id, when(row.created_at), in_words(lease))
            for row, lease in zip(found, leases, strict=True)
        ),
    )
    if any(lease and is_orphan(lease) for lease in leases):
        note("nobody waits on an orphan: `arkor resume ID` takes it up")


def _none_found(status: str | None, *, elsewhere: bool) -> str:
    """Why there is nothing to list, and what to try."""
    if status is not None and status not in STATUSES:
        import difflib  # only a typo pays for it

        close = difflib.get_close_matches(status, STATUSES, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(STATUSES)}"
        return f"no runs with status {status}; {hint}"
    if elsewhere:
        return "no runs in this project; `arkor runs --all` lists the others"
    return "no runs"


def show_run(id: Id, as_json: Json = False) -> None:
    """Show what the journal says about one run: its state, and who had it with which code.

    Examples: `arkor show @last`, `arkor show 01KA --json`
    """
    book = journal()
    row = book.row(id)
    state, owners = _read(book, row.run_id)
    lease = lease_of(book, row)
    if as_json:
        show_json(state_json(state, lease) | {"owners": [owner_json(each) for each in owners]})
    else:
        show_facts(_facts(state, lease, owners))


def events(
    id: Id,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only records behind this one.")] = 0,
    type: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="Only records of this type; may be repeated.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many records.", show_default=False)
    ] = None,
) -> None:
    """Print the records of a run, in order.

    Examples: `arkor events @last`, `arkor events @last --type training.log --json`
    """
    book = journal()
    records = book.records(book.resolve(id), after=after)
    chosen = (record for record in records if not type or record.type in type)
    for record in itertools.islice(chosen, limit):
        if as_json:
            show_json_line(record_json(record))
        else:
            _print(record)


def cancel(
    id: Id,
    wait: Annotated[
        bool, typer.Option("--wait", help="Watch it until it has ended, as `arkor watch` does.")
    ] = False,
) -> None:
    """Ask the backend to stop a run. Exits 1 if it has ended otherwise.

    Examples: `arkor cancel @last`, `arkor cancel 01KA --wait`
    """
    book = journal()
    run_id = book.resolve(id)
    state = book.run(run_id)
    if state.terminal:
        note(f"run {run_id} has ended already: {state.status}")
        raise typer.Exit(Exit.OK if state.status == "cancelled" else Exit.NO)
    from arkor.runner.options import TrainerOptions
    from arkor.runner.takeover import cancel_run

    try:
        job = asyncio.run(cancel_run(run_id, options=TrainerOptions(home=store_home())))
    except CloudApiError as error:
        if error.status != CONFLICT:
            raise
        note(
            f"job {state.job_id} has ended already, and the journal does not have its end yet; "
            f"`arkor resume {run_id}` records it"
        )
        raise typer.Exit(Exit.NO) from error
    note(f"asked the backend to stop job {job.id}, which is {job.status} now")
    if wait:
        raise typer.Exit(_wait(run_id))


def _wait(run_id: str) -> int:
    from arkor.cli.watch import watch_run

    code = watch_run(run_id)
    return {Exit.CANCELLED: Exit.OK, Exit.OK: Exit.NO}.get(Exit(code), code)


def _read(book: "Journal", run_id: str) -> tuple[RunState, list[RecordedOwner]]:
    """What the log adds up to, and the owners it names, in one reading."""
    state, owners = INITIAL, []
    for record in book.records(run_id):
        state = fold(state, record)
        if (owner := owner_of(record)) is not None:
            owners.append(owner)
    return state, owners


def _facts(
    state: RunState, lease: "Lease | None", owners: Sequence[RecordedOwner]
) -> Iterator[tuple[str, object]]:
    job = state.job
    yield "run", state.run_id
    yield "job", state.job_id
    yield "name", state.name
    yield "status", state.status
    yield "owner", in_words(lease)
    if job is not None:
        yield "error", job.error
        yield "created", when(job.created_at)
        yield "started", when(job.started_at)
        yield "ended", when(job.completed_at)
    yield "backend", state.wish and state.wish.base_url
    yield "model", state.config.get("model")
    for name, value in state.latest.items():
        yield f"last {name}", f"{value:.6g}"
    yield "checkpoints", ", ".join(map(str, state.checkpoints))
    yield "artifacts", len(state.artifacts) or None
    yield "records", state.records
    for name in consumers_of(state):
        yield f"callbacks {name}", _progress(state, name)
    yield from owner_facts(owners)
    yield "head", state.head.hex()


def _progress(state: RunState, name: str) -> str:
    consumer = state.consumer(name)
    if state.settled and name in state.named:
        return "finished"
    done = f"finished up to record {consumer.cursor} of {state.records}"
    if consumer.attempt == 1 or state.settled:
        return done
    why = "has raised" if consumer.failures else "may have been under way when its process died"
    return f"{done}; the next call {why}, and will be attempt {consumer.attempt}"


def _print(record: Record) -> None:
    show(
        f"{record.seq:>5}  {when(record.recorded_at)}  {record.type:<26}  {summary(record)}".rstrip()
    )
