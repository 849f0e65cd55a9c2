"""`arkor doctor`: what is wrong here, and what to do about it."""

import asyncio
import sys
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import typer

from arkor.cli.arguments import Json
from arkor.cli.door import Exit
from arkor.cli.render import note, show_json

if TYPE_CHECKING:
    from arkor.runner.doctor import Finding

__all__ = ["doctor"]

STYLES: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


def doctor(as_json: Json = False) -> None:
    """Examine the machine, the store, the journal and its runs, the token and the backend.

    Changes nothing, and says for everything that is not as it should be what to do next.
    Exits 0 if there is no warning and no problem, else 1. `--json` prints a list of objects
    with the keys `check`, `level` (`ok`, `note`, `warning`, `problem`), `what` and `nextStep`.

    Examples: `arkor doctor`, `arkor doctor --json`
    """
    from arkor.runner.doctor import examine, worst

    findings = asyncio.run(examine())
    if as_json:
        show_json([_to_json(finding) for finding in findings])
    else:
        _show(findings)
        note(_summary(findings))
    raise typer.Exit(Exit.OK if worst(findings) in ("ok", "note") else Exit.NO)


def _to_json(finding: "Finding") -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level,
        "what": finding.what,
        "nextStep": finding.next_step,
    }


def _summary(findings: Iterable["Finding"]) -> str:
    levels = [finding.level for finding in findings]
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for word in ("problem", "warning", "note")
        if (count := levels.count(word))
    ]
    return ", ".join(parts) or "everything is as it should be"


def _show(findings: Iterable["Finding"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from arkor.runner.wording import clean

    table = Table.grid("level", "check", "finding", padding=(0, 2))
    for group, members in groupby(findings, key=lambda finding: finding.group):
        table.add_row(Text(group, style="bold"))
        for each in members:
            level = Text(f"  {each.level}", style=STYLES[each.level])
            table.add_row(level, each.name, Text(clean(each.what), overflow="fold"))
            if each.next_step is not None:
                step = Text(f"  {clean(each.next_step)}", style="dim", overflow="fold")
                table.add_row("", "", step)
    # Elsewhere than on a terminal nothing is wrapped: programs read lines.
    console = Console(width=None if sys.stdout.isatty() else 2_000, highlight=False)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
