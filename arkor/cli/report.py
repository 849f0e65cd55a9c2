"""`arkor report` and `arkor diff`: a page about a run, and what tells two runs apart."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkor.cli.arguments import Id, Json
from arkor.cli.completion import complete_run
from arkor.cli.door import Exit
from arkor.cli.place import journal
from arkor.cli.render import note, relative, show, show_json, show_table

if TYPE_CHECKING:
    from arkor.core.differences import Comparison, Difference, MetricPair, RunFacts
    from arkor.core.series import Summary
    from arkor.runner.report import RunReport

__all__ = ["diff", "report"]

Other = Annotated[
    str | None,
    typer.Argument(
        metavar="OTHER",
        help="A second run, to compare with.",
        show_default=False,
        autocompletion=complete_run,
    ),
]


def report(
    id: Id,
    other: Other = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; without it, `arkor-report-ID.html` in this folder.",
            show_default=False,
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the chart as a PNG, too; needs Chromium or Chrome.",
            show_default=False,
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write one self-contained page about a run: what happened, who had it, that it holds.

    The page opens offline and loads nothing; it is replaced if it is there. With two runs it
    compares them. Exits 1 if a part of a log cannot be read. Needs the extra `report`.

    Examples: `arkor report @last -o report.html --open`, `arkor report 01KA 01KB --png loss.png`
    """
    runs = _gather(id, other)
    ids = "-".join(run.verified.run_id for run in runs)
    page = output or Path(f"arkor-report-{ids}.html")
    _write_page(runs, page)
    if png is not None:
        from arkor.runner.report import render_chart
        from arkor.runner.report_image import draw

        chart, height = render_chart(runs)
        _write(png, draw(chart, height=height))
        show(relative(png.absolute()))
    if opens:
        typer.launch(page.absolute().as_uri())
    raise typer.Exit(Exit.NO if _is_cut(runs) else Exit.OK)


def diff(
    a: Id,
    b: Annotated[
        str,
        typer.Argument(metavar="ID", help="Another run.", autocompletion=complete_run),
    ],
    as_json: Json = False,
    code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 if they differ, as git's does.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write the page that compares them, too.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say what tells two runs apart: their options, and how they went.

    Exits 0 also if they differ, unless `--exit-code` is given, and 1 if a part of a log cannot be
    read; ids, names and durations make no difference. `--json` prints `same`, the runs `a` and `b`, `config` (`path`, `change`, and the
    sides that have a value) and `metrics` (per side `count`, `gaps`, `first`, `last`, `least`,
    `leastStep`, `greatest`, `greatestStep`, or null).

    Examples: `arkor diff 01KA 01KB`, `arkor diff 01KA @last --json`
    """
    from arkor.runner.report import comparison_of

    runs = _gather(a, b)
    found = comparison_of(*runs)
    if page is not None:
        _write_page(runs, page, told=note)
    if as_json:
        show_json(_to_json(found))
    else:
        _print(found, cut=_is_cut(runs))
    raise typer.Exit(Exit.NO if _is_cut(runs) or (code and not found.same) else Exit.OK)


def _gather(id: str, other: str | None) -> "list[RunReport]":
    from arkor.runner.report import gather

    book = journal()
    ids = [book.resolve(each) for each in (id, other) if each is not None]
    labels = "AB" if len(ids) > 1 else [""]
    runs = [gather(book, each, label) for each, label in zip(ids, labels, strict=True)]
    for run in runs:
        if not run.verified.ok:
            note(
                f"run {run.verified.run_id} is not as it was recorded: {run.verified.problem}; "
                f"`arkor verify {run.verified.run_id}` says what to do"
            )
        if run.cut:
            note(f"what is behind its record {run.timeline.state.records} cannot be read")
    return runs


def _is_cut(runs: "list[RunReport]") -> bool:
    return any(run.cut for run in runs)


def _write_page(runs: "list[RunReport]", path: Path, told: Any = show) -> None:
    from arkor.runner.report import render

    _write(path, render(runs, now=datetime.now(UTC)).encode())
    told(relative(path.absolute()))


def _write(path: Path, data: bytes) -> None:
    from arkor.store.files import write_private

    if path.exists() and not path.is_file():
        path.write_bytes(data)  # a pipe or a device is written to, not replaced
    else:
        write_private(path, data, part=path.with_name(f".{path.name}.{os.getpid()}"))


def _print(found: "Comparison", *, cut: bool) -> None:
    a, b = found.a, found.b
    show_table(
        ("", "A", "B"),
        [
            ("run", a.run_id, b.run_id),
            ("name", a.name, b.name),
            ("status", a.status, b.status),
            ("seconds", f"{a.seconds:.6g}", f"{b.seconds:.6g}"),
            ("checkpoints", a.checkpoints, b.checkpoints),
            *((each.path, _side(each, "a"), _side(each, "b")) for each in found.config),
        ],
    )
    if found.metrics:
        show("")
        show_table(
            ("metric", "A first", "A last", "A least", "B first", "B last", "B least"),
            [(pair.name, *_figures(pair.a), *_figures(pair.b)) for pair in found.metrics],
        )
    if found.same and not cut:
        note("they differ in nothing but their ids, names and durations")


def _side(difference: "Difference", side: str) -> str:
    from arkor.runner.report_words import json_text

    absent = {"a": "only in b", "b": "only in a"}[side] == difference.change
    return "" if absent else json_text(getattr(difference, side))


def _figures(summary: "Summary[Any] | None") -> tuple[str, str, str]:
    if summary is None:
        return ("", "", "")
    least = summary.least
    return (
        f"{summary.first.y:.6g}",
        f"{summary.last.y:.6g}",
        f"{least.y:.6g} at {least.x.step}",
    )


def _to_json(found: "Comparison") -> dict[str, Any]:
    return {
        "same": found.same,
        "a": _run(found.a),
        "b": _run(found.b),
        "config": [_difference(each) for each in found.config],
        "metrics": [_pair(each) for each in found.metrics],
    }


def _run(facts: "RunFacts") -> dict[str, Any]:
    return {
        "runId": facts.run_id,
        "name": facts.name,
        "status": facts.status,
        "seconds": facts.seconds,
        "checkpoints": facts.checkpoints,
    }


def _difference(each: "Difference") -> dict[str, Any]:
    sides = {
        "only in a": {"a": each.a},
        "only in b": {"b": each.b},
        "changed": {"a": each.a, "b": each.b},
    }
    return {"path": each.path, "change": each.change, **sides[each.change]}


def _pair(pair: "MetricPair") -> dict[str, Any]:
    return {"name": pair.name, "same": pair.same, "a": _summary(pair.a), "b": _summary(pair.b)}


def _summary(summary: "Summary[Any] | None") -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "count": summary.count,
        "gaps": summary.gaps,
        "first": summary.first.y,
        "last": summary.last.y,
        "least": summary.least.y,
        "leastStep": summary.least.x.step,
        "greatest": summary.greatest.y,
        "greatestStep": summary.greatest.x.step,
    }
