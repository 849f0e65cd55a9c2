"""What a shell offers for an ID at the Tab key: the runs of the journal, the newest first."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import typer

from arkor.cli.place import journal, journal_at
from arkor.errors import ArkorError

if TYPE_CHECKING:
    from arkor.store.journal import RunRow

__all__ = ["STATUSES", "complete_left", "complete_run", "complete_status", "complete_template"]

OFFERED: Final = 30
"""How many runs a shell is given to choose from."""

SEARCHED: Final = 1_000
"""Among how many of the newest runs those are looked for."""

STATUSES: Final = (
    "submitting",
    "queued",
    "running",
    "completed",
    "failed",
    "cancelled",
    "refused",
)
"""What the status of a run may be; a newer backend may say more."""

_UNSAFE: Final = re.compile(r"[^\w .+-]", re.ASCII)
"""Names and ids come from the backend too, and zsh evaluates what it is offered."""


def complete_run(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The runs, by run or job id, with their names; `@last` for the newest."""
    found = [("@last", "the newest run")] if "@last".startswith(incomplete) else []
    return [*found, *_offered(ctx, incomplete, left=False)]


def complete_left(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The runs that something is still owed of, which `arkor resume` may take."""
    return _offered(ctx, incomplete, left=True)


def complete_status(incomplete: str) -> list[str]:
    """The words that a run's status may be."""
    return [status for status in STATUSES if status.startswith(incomplete)]


def complete_template(incomplete: str) -> list[tuple[str, str]]:
    """The templates of a new project, with what each is about."""
    from arkor.runner.scaffold import TEMPLATES

    return [pair for pair in TEMPLATES.items() if pair[0].startswith(incomplete)]


def _offered(ctx: typer.Context, incomplete: str, *, left: bool) -> list[tuple[str, str]]:
    try:
        with _asked_for(ctx):
            rows = journal().runs(limit=SEARCHED)
    except (ArkorError, OSError):  # the command itself reports it; a Tab key has no place for it
        return []
    wanted = (row for row in rows if not (left and row.settled))
    return [pair for row in wanted for pair in _ids(row, incomplete)][:OFFERED]


def _ids(row: "RunRow", incomplete: str) -> Iterator[tuple[str, str]]:
    # A job's id is offered once it is being typed: its run has one already.
    for known in (row.run_id, row.job_id if incomplete else None):
        if known and known.startswith(incomplete) and not _UNSAFE.search(known):
            yield known, f"{_UNSAFE.sub(' ', row.name)} ({row.status})"


def _asked_for(ctx: typer.Context) -> contextlib.AbstractContextManager[Any]:
    """The journal that `--journal` on the same line names, if it does."""
    file = ctx.find_root().params.get("journal")
    return contextlib.nullcontext() if file is None else journal_at(file, create=False)
