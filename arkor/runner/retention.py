"""Which runs are old enough to go, and letting them go: archived first, then removed."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arkor.errors import ConfigError, JournalError
from arkor.store.archiving import Archive, archive_name, check_archive, write_archive
from arkor.store.journal import Journal
from arkor.store.prune import Tombstone, prune_run
from arkor.store.runs import RunRow
from arkor.store.writer import Writer

__all__ = ["Retention", "Verdict", "archive_run", "prunable", "prune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which runs may go: those older than an age, but the newest `keep_last` of each project.

    A run is as old as its beginning. One that is unfinished, or owes a callback, stays.
    """

    older_than: timedelta
    keep_last: int = 20

    def __post_init__(self) -> None:
        if self.keep_last < 0:
            raise ConfigError("keep_last cannot be negative", field="keep_last")
        if self.older_than < timedelta(0):
            raise ConfigError("older_than cannot be negative", field="older_than")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run: its tombstone, or why it is still there."""

    row: RunRow
    tombstone: Tombstone | None = None
    problem: str | None = None


def prunable(
    journal: Journal,
    policy: Retention,
    *,
    project_root: Path | str | None = None,
    now: datetime | None = None,
) -> list[RunRow]:
    """The runs that may go, the oldest first: of one project, or of all."""
    latest = ((now or datetime.now(UTC)) - policy.older_than).isoformat()
    newer: Counter[tuple[str, str, str]] = Counter()
    found = []
    rows = journal.runs(project_root=project_root)
    for row in sorted(rows, key=lambda row: (row.created_at, row.run_id), reverse=True):
        if row.pruned:
            continue
        project = (row.project_root, row.org_slug, row.project_slug)
        newer[project] += 1
        if newer[project] > policy.keep_last and row.settled and row.created_at < latest:
            found.append(row)
    return found[::-1]


def prune(writer: Writer, journal: Journal, row: RunRow, folder: Path | None) -> Verdict:
    """Archive a run into `folder`, if one is given, and remove its records.

    The archive is on the disk, and was read back and checked, before anything is removed; so
    whenever this is interrupted, it can be done again. A run that cannot be archived, or that
    somebody has, stays, and the verdict says why. Raises `ConfigError` without the extra `export`.
    """
    try:
        archive = None if folder is None else archive_run(journal, row, folder)
        with writer.transaction(durable=True, create=False) as tx:
            if archive is None:
                return Verdict(row, prune_run(tx, row.run_id))
            stone = prune_run(
                tx,
                row.run_id,
                head=archive.head,
                archive=str(archive.path),
                archive_sha256=archive.sha256,
            )
            return Verdict(row, stone)
    except JournalError as error:
        return Verdict(row, problem=str(error))


def archive_run(journal: Journal, row: RunRow, folder: Path) -> Archive:
    """The archive of the run in `folder`: written, read back, and checked.

    One that is there already is taken if it has the whole log. Raises `JournalError` if it cannot
    be written, if the run's chain is broken, or if another log is in the way.
    """
    path = folder.absolute() / archive_name(row.run_id, row.name)
    try:
        if path.exists():
            found = _of_this_log(journal, path, row.run_id)
            if not any(journal.records(row.run_id, after=found.records, limit=1)):
                return found
        write_archive(path, journal.export(row.run_id, "jsonl"))
        return check_archive(path, row.run_id)
    except OSError as error:
        raise JournalError(
            f"the archive {path} cannot be written: {error.strerror or error}; run {row.run_id} "
            "stays in the journal",
            path=path,
        ) from error


def _of_this_log(journal: Journal, path: Path, run_id: str) -> Archive:
    """The archive at `path`, which has the run's log, or the beginning of it."""
    found = check_archive(path, run_id)
    last = journal.records(run_id, after=found.records - 1, limit=1)
    if not any(record.digest == found.head for record in last):
        raise JournalError(
            f"{path} is there already, and has another log than the journal; move it away",
            path=path,
        )
    return found
