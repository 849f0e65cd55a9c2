"""`arkor prune`: old runs archived and removed from the journal."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from arkor.cli.arguments import Json
from arkor.cli.door import Exit
from arkor.cli.place import journal, store_home
from arkor.cli.render import note, show_json, show_table, when

if TYPE_CHECKING:
    from arkor.runner.retention import Verdict

__all__ = ["prune"]

UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

WHOLE_JOURNAL: Final = "`arkor store compact` gives the room in the journal back to the disk"


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([wdhms])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no age; give it as 90d, 12w or 36h")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def prune(
    older_than: Annotated[
        timedelta,
        typer.Option(
            parser=_age, metavar="AGE", help="Only runs begun so long ago, such as 90d or 12w."
        ),
    ],
    keep_last: Annotated[
        int, typer.Option(min=0, help="How many of each project's newest runs stay in any case.")
    ] = 20,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder that a run's log is written to before it is removed.",
            show_default=False,
        ),
    ] = None,
    no_archive: Annotated[
        bool, typer.Option("--no-archive", help="Remove for ever, without an archive.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which runs would go, and change nothing.")
    ] = False,
    everywhere: Annotated[
        bool, typer.Option("--all", help="Of every project, and not of this folder's alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Archive old runs and remove their records; each leaves a tombstone, and keeps its run key.

    Never a run that is unfinished, owes a callback, or is in a living process's hands. An archive
    is a `.jsonl.zst` that `arkor import` takes back (extra `export`); it is read back and checked
    before anything is removed. Exits 1 if a run could not be removed. With `--json`, a list of
    objects with `runId`, `name`, `createdAt`, `pruned`, `problem`, and of what was removed also
    `records`, `head`, `archive` and `archiveSha256`.

    Examples: `arkor prune --older-than 90d --dry-run`,
    `arkor prune --older-than 90d --keep-last 20 --archive ~/arkor-archive --all`
    """
    if not dry_run and (archive is None) is not no_archive:
        raise typer.BadParameter(
            "say where the logs go: --archive DIR, or --no-archive to lose them for ever"
        )
    if archive is not None and not archive.is_dir():
        raise typer.BadParameter(f"there is no folder {archive}; make it first")
    verdicts = list(
        _verdicts(older_than, keep_last, archive, dry_run=dry_run, everywhere=everywhere)
    )
    if as_json:
        show_json([_as_json(each) for each in verdicts])
    elif verdicts:
        _show(verdicts, dry_run=dry_run)
    else:
        newest = f" and older than the newest {keep_last}, which stay" if keep_last else ""
        note(f"no run is old enough to go: ended, older than --older-than{newest}")
    if any(each.problem for each in verdicts):
        raise typer.Exit(Exit.NO)


def _verdicts(
    age: timedelta, keep_last: int, archive: Path | None, *, dry_run: bool, everywhere: bool
) -> Iterator["Verdict"]:
    from arkor.runner.retention import Retention, Verdict, prunable, prune
    from arkor.store.state import project_root
    from arkor.store.writer import open_writer

    book = journal()
    policy = Retention(older_than=age, keep_last=keep_last)
    for row in prunable(book, policy, project_root=None if everywhere else project_root()):
        yield Verdict(row) if dry_run else prune(open_writer(store_home()), book, row, archive)


def _as_json(verdict: "Verdict") -> dict[str, Any]:
    row, stone = verdict.row, verdict.tombstone
    value = {
        "runId": row.run_id,
        "name": row.name,
        "createdAt": row.created_at,
        "pruned": stone is not None,
        "problem": verdict.problem,
    }
    if stone is not None:
        value |= {
            "records": stone.records,
            "head": stone.head.hex(),
            "archive": stone.archive,
            "archiveSha256": stone.archive_sha256,
        }
    return value


def _show(verdicts: list["Verdict"], *, dry_run: bool) -> None:
    show_table(
        ("run", "name", "created", "records", "archive"),
        (
            (
                each.row.run_id,
                each.row.name,
                when(each.row.created_at),
                each.tombstone and each.tombstone.records,
                each.tombstone and (each.tombstone.archive or "none"),
            )
            for each in verdicts
        ),
    )
    for each in verdicts:
        if each.problem:
            note(f"run {each.row.run_id} was not removed: {each.problem}")
    if dry_run:
        note(f"{len(verdicts)} runs would be removed; nothing was changed")
    elif any(each.tombstone for each in verdicts):
        note(WHOLE_JOURNAL)
