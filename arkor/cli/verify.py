"""`arkor verify`: whether a run's log is what was recorded."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from arkor.cli.arguments import Json
from arkor.cli.completion import complete_run
from arkor.cli.door import Exit
from arkor.cli.place import journal
from arkor.cli.render import note, show_facts, show_json, show_table, when
from arkor.core.anchor import Anchor, parse_heads
from arkor.core.verify import VerifyReport
from arkor.errors import ConfigError, JournalCorruptError

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["verify"]

SHORT: Final = 16
"""Hex digits of a digest that a table shows."""

Heads = Mapping[str | None, list[Anchor]]
"""Anchors by the run they are of; bare digests are of none."""


def verify(
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A run's or a job's id, a unique prefix of one, or @last; without one, the runs "
            "that the given anchors are of.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every run of the journal.")] = False,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST|ANCHOR|@FILE",
            help="A digest that the log had, a line of `arkor anchor`, or a file of such lines.",
            show_default=False,
        ),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who may have signed the file of anchors: allowed signers of ssh-keygen(1), or a "
            "public key.",
            show_default=False,
        ),
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The signature; without one, FILE.sig beside the file of anchors.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that the log of a run is what was recorded: nothing changed, missing, put in or moved.

    A log that was cut at its end, or recomputed as a whole, shows only against `--head`: a digest
    or an anchor that was kept elsewhere. Exits 1 if anything is wrong. With `--json`, an object
    with `ok`, `runId`, `records`, `head`, `firstBadSeq`, `problem`, `fault`, `anchoredSeq` and
    `prunedAt`; a list of these unless one ID was given.

    Examples: `arkor verify @last`, `arkor verify --all --head @anchors.txt --signers id_ed25519.pub`
    """
    from arkor.store.survey import holds_nothing

    if everything and id is not None:
        raise typer.BadParameter("--all goes without an ID")
    if not everything and id is None and head is None:
        raise typer.BadParameter("name a run, or give --all or --head")
    heads = _heads(head, signers, signature)
    book = journal()
    if holds_nothing(book.path):
        raise JournalCorruptError(
            f"the journal {book.path} is an empty file: whatever it held is gone; restore a backup",
            path=book.path,
        )
    reports = list(_reports(book, id, heads, everything=everything))
    if as_json:
        shown = [_as_json(each) for each in reports]
        show_json(shown if id is None else shown[0])
    else:
        _print(reports, one=id is not None)
    raise typer.Exit(Exit.OK if all(each.ok for each in reports) else Exit.NO)


def _heads(head: str | None, signers: Path | None, signature: Path | None) -> Heads:
    grouped: dict[str | None, list[Anchor]] = defaultdict(list)
    if head is None or not head.startswith("@"):
        if signers is not None or signature is not None:
            raise typer.BadParameter("a signature is of a file of anchors: give --head @FILE")
        anchors = [] if head is None else parse_heads(head)
    else:
        file = Path(head[1:])
        _check_signature(file, signers, signature)
        anchors = parse_heads(file.read_text(errors="replace"))
    for each in anchors:
        grouped[each.run_id].append(each)
    return grouped


def _check_signature(file: Path, signers: Path | None, signature: Path | None) -> None:
    if signers is None:
        if signature is not None:
            raise typer.BadParameter("give --signers too: who may have signed it")
        return
    from arkor.runner.signing import KEY_ALONE, signature_path, signer_of

    signature = signature or signature_path(file)
    who = signer_of(file, signature, signers)
    if who is None:
        note(
            f"{signature} is no signature of {file} by anybody in {signers}: these anchors prove "
            "nothing; get them from where they were kept"
        )
        raise typer.Exit(Exit.NO)
    maker = f"with the key {signers}" if who == KEY_ALONE else f"by {who} ({signers})"
    note(f"{file} was signed {maker}")


def _reports(
    book: "Journal", id: str | None, heads: Heads, *, everything: bool
) -> Iterator[VerifyReport]:
    if id is not None:
        run_id = book.resolve(id)
        mine = [*heads.get(run_id, ()), *heads.get(None, ())]
        if heads and not mine:
            others = ", ".join(sorted(str(each) for each in heads))
            raise ConfigError(f"there is no anchor of run {run_id}, only of {others}", field="head")
        yield book.verify(run_id, _text(mine))
        return
    if None in heads:
        raise ConfigError("a bare digest says nothing of its run: name the ID", field="head")
    there = {row.run_id for row in book.runs()}
    named = {str(each) for each in heads}
    for each in sorted(there | named if everything else named):
        yield book.verify(each, _text(heads.get(each, []))) if each in there else _gone(each)


def _text(heads: list[Anchor]) -> str | None:
    return "\n".join(each.line() for each in heads) or None


def _gone(run_id: str) -> VerifyReport:
    problem = "the journal has no such run, and there is an anchor of it"
    return VerifyReport(False, run_id, 0, "", 1, problem, "missing")


def _print(reports: list[VerifyReport], *, one: bool) -> None:
    if one:
        show_facts(_facts(reports[0]))
    elif reports:
        show_table(
            ("run", "log", "records", "head", "problem"),
            (
                (each.run_id, _verdict(each), each.records, each.head[:SHORT], each.problem)
                for each in reports
            ),
        )
    else:
        note("no runs")
    for each in reports:
        if not each.ok:
            _advise(each)


def _verdict(report: VerifyReport) -> str:
    if not report.ok:
        return "broken"
    return "whole" if report.pruned_at is None else "pruned"


def _facts(report: VerifyReport) -> Iterator[tuple[str, object]]:
    yield "run", report.run_id
    yield "log", _verdict(report)
    yield "pruned", when(report.pruned_at)
    yield "first bad record", report.first_bad_seq
    yield "problem", report.problem
    yield "records" if report.ok else "whole up to record", report.records
    yield "head", report.head
    if report.anchored_seq is not None:
        yield "anchored", f"record {report.anchored_seq}"


def _advise(report: VerifyReport) -> None:
    run_id = report.run_id
    match report.fault:
        case "missing" if not report.records and not report.head:
            note(
                f"run {run_id}: the whole run is gone, or it was never in this journal; "
                "`arkor store check` names records without a run, and `arkor import` brings back "
                "an export or an archive of it"
            )
        case "pruned":
            note(f"run {run_id}: `arkor import` brings its archive back, and that can be verified")
        case "unreadable":
            note(
                f"run {run_id}: restore a backup, or save what is legible with "
                "`arkor store salvage -o NEW.db`; the damaged file stays as it is"
            )
        case _:
            note(
                f"run {run_id}: keep the file as it is, as evidence; `arkor export {run_id}` "
                "writes out what it holds now, and a backup or an earlier export may hold what "
                "was recorded"
            )


def _as_json(report: VerifyReport) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "runId": report.run_id,
        "records": report.records,
        "head": report.head,
        "firstBadSeq": report.first_bad_seq,
        "problem": report.problem,
        "fault": report.fault,
        "anchoredSeq": report.anchored_seq,
        "prunedAt": report.pruned_at,
    }
