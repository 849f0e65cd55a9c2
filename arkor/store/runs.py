"""Runs as the store lists them: an index over their logs."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from sqlalchemy import select

from arkor.core.state import RunState
from arkor.store.schema import pruned, runs

__all__ = ["COLUMNS", "NewRun", "RunRow", "index_of", "new_run_id", "run_row"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_run_id() -> str:
    """A ULID: 26 characters of Crockford's base 32, sorted by the millisecond they were made."""
    number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to be made, and which project it is of."""

    name: str
    project_root: str
    org_slug: str
    project_slug: str
    fingerprint: str
    run_key: str | None = None
    job_id: str | None = None
    status: str = "submitting"
    run_id: str = field(default_factory=new_run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as listed. `created_at` is RFC 3339, UTC; `settled` is true if nothing is owed.

    `imported_at` is when the log came from a file, if it did: nothing goes on with it unasked.
    `pruned` is true if its records were removed: only this row is left of it.
    """

    run_id: str
    name: str
    job_id: str | None
    project_root: str
    org_slug: str
    project_slug: str
    fingerprint: str
    run_key: str | None
    created_at: str
    status: str
    settled: bool
    imported_at: str | None
    pruned: bool


_NAMES: Final = tuple(each.name for each in fields(RunRow))

COLUMNS: Final = select(
    *(runs.c[name] for name in _NAMES if name != "pruned"),
    pruned.c.run.is_not(None).label("pruned"),
).select_from(runs.outerjoin(pruned, pruned.c.run == runs.c.id))
"""The query that `run_row` reads."""


def run_row(row: Sequence[Any]) -> RunRow:
    """One row of `COLUMNS`."""
    return RunRow(**dict(zip(_NAMES, row, strict=True)))


def index_of(state: RunState) -> dict[str, object]:
    """What the journal's list of runs keeps of a run's state."""
    index: dict[str, object] = {
        "name": state.name,
        "job_id": state.job_id,
        "status": state.status,
        "settled": state.settled,
    }
    # A run that the backend refused leaves its key to the next one. Otherwise a run has its key
    # from the start, or, imported, none.
    return index | {"run_key": None} if state.status == "refused" else index
