"""`arkor store`: the journal's file, backed up, checked, salvaged."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from arkor.cli.arguments import Json
from arkor.cli.door import Exit
from arkor.cli.place import journal, store_home
from arkor.cli.render import note, show, show_json, show_table

if TYPE_CHECKING:
    from arkor.store.check import Finding
    from arkor.store.salvage import SalvagedRun, SalvageReport

__all__ = ["app"]

app = typer.Typer(
    name="store", help="Back up, check and salvage the journal's file.", no_args_is_help=True
)

RANGES: Final = 5
"""Ranges of missing records that a table shows of a run; JSON has them all."""


@app.command()
def path() -> None:
    """Print where the journal is, whether or not there is one.

    Example: `arkor store path`
    """
    show(str(_path()))


@app.command()
def upgrade() -> None:
    """Bring the journal to this Arkor's schema, after a backup copy beside it.

    Whatever writes to the journal does that, too.

    Example: `arkor store upgrade`
    """
    from arkor.store.survey import read_revision
    from arkor.store.writer import open_writer

    writer = open_writer(store_home())
    before = read_revision(writer.path) if writer.path.exists() else None
    with writer.transaction(durable=True, create=False):
        pass
    after = read_revision(writer.path)
    if before == after:
        note(f"the journal {writer.path} is up to date (schema {after})")
    else:
        note(f"the journal {writer.path} has schema {after} now, {before} before")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; an earlier is replaced.")],
) -> None:
    """Copy the journal to FILE, also while it is written to: all of it, as it is at one moment.

    The copy is a journal (`arkor --journal FILE runs`), which its owner alone can read. It holds no
    token, but the salt that redacted secrets are digested with: without it a run that goes on
    elsewhere could not tell them.

    Example: `arkor store backup ~/backups/arkor.db`
    """
    from arkor.store.backup import backup_journal

    target = file.expanduser().absolute()
    size = backup_journal(_path(), target)
    note(f"backed up to {target} ({size:,} bytes)")


@app.command()
def compact() -> None:
    """Give the room of what was pruned back to the disk.

    Needs as much room again for a while, and keeps other writers waiting.

    Example: `arkor store compact`
    """
    from arkor.store.writer import open_writer

    freed = open_writer(store_home()).compact()
    note(f"{freed:,} bytes were given back to the disk")


@app.command()
def check(
    as_json: Json = False,
    repair_index: Annotated[
        bool,
        typer.Option(
            "--repair-index", help="Write the rows anew that differ from what their logs say."
        ),
    ] = False,
) -> None:
    """Check the journal: its file, the chain of every run, and that nothing is left over.

    Reads all of it, and changes nothing unless asked to. Exits 1 if anything is wrong. With `--json`,
    a list of objects with `subject` (`file`, `chain`, `orphan`, `index`), `runId`, `seq`, `problem`
    and `repaired`.

    Examples: `arkor store check`, `arkor store check --repair-index`
    """
    from arkor.store.check import check_journal

    findings = list(check_journal(_existing()))
    repaired = _repair(findings) if repair_index else set()
    if as_json:
        show_json([_finding_json(each, repaired) for each in findings])
    else:
        _show_findings(findings, repaired)
    if not all(_is_mended(each, repaired) for each in findings):
        raise typer.Exit(Exit.NO)


@app.command()
def salvage(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="NEW", help="The new journal's file.")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="The damaged file; without one, this journal's.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Save what is whole of a damaged journal into a new one, and name what is missing.

    The damaged file is only read, and stays as it is; end what writes to it before. Exits 1 if
    anything is known to be missing. With `--json`, an object with `runs` (of each `runId`,
    `records`, `missing` as pairs of the first and the last seq, which is null where the end is
    unknown, and `unproven`, the seqs of records whose content nothing vouches for), `missingPages`,
    `unclaimed` and `saltLost`.

    Examples: `arkor store salvage -o saved.db`, `arkor store salvage damaged.db -o saved.db`
    """
    from arkor.store.salvage import salvage

    damaged = (file.expanduser().absolute()) if file else _existing()
    target = output.expanduser().absolute()
    report = salvage(damaged, target)
    if as_json:
        show_json(_report_json(report))
    else:
        _show_report(report, target)
    if not report.whole:
        raise typer.Exit(Exit.NO)


def _path() -> Path:
    from arkor.store.paths import journal_path

    return journal_path(store_home())


def _existing() -> Path:
    from arkor.errors import JournalError

    found = _path()
    if not found.exists():
        raise JournalError(f"there is no journal {found}; ARKOR_HOME says where it is", path=found)
    return found


def _repair(findings: list["Finding"]) -> set[str]:
    from arkor.store.check import repair_index
    from arkor.store.writer import open_writer

    wrong = {each.run_id for each in findings if each.subject == "index" and each.run_id}
    book = journal()
    for run_id in sorted(wrong):
        with open_writer(store_home()).transaction(durable=True, create=False) as tx:
            repair_index(tx, book, run_id)
    return wrong


def _is_mended(finding: "Finding", repaired: set[str]) -> bool:
    return finding.subject == "index" and finding.run_id in repaired


def _finding_json(finding: "Finding", repaired: set[str]) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "runId": finding.run_id,
        "seq": finding.seq,
        "problem": finding.problem,
        "repaired": _is_mended(finding, repaired),
    }


def _show_findings(findings: list["Finding"], repaired: set[str]) -> None:
    if not findings:
        note("the journal is in order")
        return
    show_table(
        ("subject", "run", "record", "problem"),
        (
            (
                each.subject,
                each.run_id,
                each.seq,
                f"{each.problem}{' (repaired)' if _is_mended(each, repaired) else ''}",
            )
            for each in findings
        ),
    )
    subjects = {each.subject for each in findings if not _is_mended(each, repaired)}
    if "index" in subjects:
        note("`arkor store check --repair-index` writes the rows anew, from their logs")
    if subjects & {"file", "orphan"}:
        note("restore a backup, or save what is whole with `arkor store salvage -o NEW.db`")
    if "chain" in subjects:
        note("`arkor verify ID` says more about a chain")


def _report_json(report: "SalvageReport") -> dict[str, Any]:
    return {
        "runs": [
            {
                "runId": run.run_id,
                "records": run.records,
                "missing": [list(each) for each in run.missing],
                "unproven": list(run.unproven),
            }
            for run in report.runs
        ],
        "missingPages": report.missing_pages,
        "unclaimed": report.unclaimed,
        "saltLost": report.salt_lost,
    }


def _show_report(report: "SalvageReport", target: Path) -> None:
    show_table(
        ("run", "records", "missing", "unproven"),
        ((run.run_id, run.records, _missing(run), len(run.unproven) or "") for run in report.runs),
    )
    if report.missing_pages:
        note(f"the damaged file is {report.missing_pages} pages shorter than it was")
    if report.unclaimed:
        note(f"{report.unclaimed} records are of runs whose ids are lost; they were not saved")
    if report.salt_lost:
        note("the salt is lost: secrets that were redacted before cannot be told any more")
    note(
        f"the new journal is {target}; to go on with it, move the damaged one away with its "
        "-wal and -shm, and put the new one in its place"
    )


def _missing(run: "SalvagedRun") -> str:
    shown = [_range(*each) for each in run.missing[:RANGES]]
    more = len(run.missing) - RANGES
    return ", ".join([*shown, f"{more} ranges more"] if more > 0 else shown)


def _range(first: int, last: int | None) -> str:
    if last is None:
        return f"from {first} on, if there were any" if first > 1 else "all"
    return str(first) if first == last else f"{first}-{last}"
