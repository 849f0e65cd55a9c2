"""The examination of the journal's file: its schema, its pages, its times."""

import time
from pathlib import Path
from typing import Final

from arkor.errors import ArkorError, JournalCorruptError, JournalTooNewError
from arkor.runner.doctor_finding import Finding, as_finding, looked
from arkor.runner.doctor_runs import examine_runs
from arkor.runner.doctor_words import shown_size, shown_time
from arkor.store.survey import known_revision, newest_record, quick_damage, read_revision

__all__ = ["examine_journal"]

CHECK_SECONDS: Final = 5.0
"""How long the pages of a large journal are looked through."""

CLOCK_SLACK: Final = 60.0
"""Seconds by which the newest record may be ahead of the clock: hosts are never quite alike."""


def examine_journal(path: Path | None) -> list[Finding]:
    """What is found in the journal at `path`, and about its runs; it is only read."""
    if path is None:
        return []
    try:
        if not path.exists():
            return [
                Finding("journal.file", "ok", "there is no journal yet; the first run makes it")
            ]
        schema = _schema(path)
    except JournalCorruptError as error:
        return [_damaged(str(error).partition(";")[0])]
    except JournalTooNewError as error:
        return [as_finding("journal.schema", error, "`pip install -U arkor`")]
    except (ArkorError, OSError) as error:
        return [as_finding("journal.file", error, f"see that you can read {path}")]
    findings = [schema, *looked("journal.pages", lambda: [_pages(path)], "`arkor store check`")]
    if any(each.level == "problem" for each in findings):
        return findings
    for check, look in (
        ("journal.log", lambda: [_log(path)]),
        ("journal.clock", lambda: [_clock(path)]),
        ("runs.owners", lambda: examine_runs(path)),
    ):
        findings += looked(check, look, "`arkor store check` looks closer")
    return findings


def _schema(path: Path) -> Finding:
    found, known = read_revision(path) or "none", known_revision()
    if found != known:
        return Finding(
            "journal.schema",
            "note",
            f"the journal has schema {found}, and this Arkor's is {known}",
            "`arkor store upgrade`, or the next run, brings it up to date and keeps a copy",
        )
    return Finding("journal.schema", "ok", f"schema {found}, the newest")


def _pages(path: Path) -> Finding:
    try:
        damage = quick_damage(path, seconds=CHECK_SECONDS)
    except JournalCorruptError as error:
        return _damaged(str(error).partition(";")[0])
    if damage is None:
        return Finding(
            "journal.pages",
            "note",
            f"not looked through within {CHECK_SECONDS:g} s, and nothing wrong until then",
            "`arkor store check` looks through all of it",
        )
    if damage:
        return _damaged(f"the journal {path} is damaged: {'; '.join(damage)}")
    return Finding("journal.pages", "ok", f"{path} is whole")


def _damaged(what: str) -> Finding:
    return Finding(
        "journal.pages",
        "problem",
        what,
        "`arkor store check` names the damage, `arkor store salvage` saves what is intact "
        "into a new journal",
    )


def _log(path: Path) -> Finding:
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size == 0 or path.with_name(f"{path.name}-shm").exists():
        return Finding("journal.log", "ok", f"write-ahead log of {shown_size(size)}")
    return Finding(
        "journal.log",
        "note",
        f"{log.name} ({shown_size(size)}) was left by a process that is gone or came with a copy; "
        "the journal's newest records are in it",
        f"keep it beside {path.name}, whatever you do with that: the next run folds it in",
    )


def _clock(path: Path) -> Finding:
    newest = newest_record(path)
    ahead = -1.0 if newest is None else newest / 1e6 - time.time()
    if ahead <= CLOCK_SLACK:
        return Finding("journal.clock", "ok", "no record is from the future")
    return Finding(
        "journal.clock",
        "warning",
        f"the newest record is {shown_time(ahead)} ahead of this machine's clock",
        "set the clock (`sudo timedatectl set-ntp true`)",
    )
