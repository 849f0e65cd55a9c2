"""How things look: data on stdout as tables or JSON, notes on stderr."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arkor.runner.wording import clean

__all__ = [
    "note",
    "relative",
    "show",
    "show_facts",
    "show_json",
    "show_json_line",
    "show_table",
    "when",
]

STYLES = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "blue",
    "submitting": "blue",
    "orphan": "yellow",
}
"""The colours of the words we know."""


def note(text: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    print("\n".join(map(clean, text.splitlines())), file=sys.stderr, flush=True)


def show(text: str, *, at_once: bool = False) -> None:
    """Print one line of data on stdout; `at_once` for who waits for it through a pipe."""
    print(clean(text), flush=at_once)


def show_json(value: object) -> None:
    """Print one JSON value on stdout, indented."""
    print(json.dumps(value, indent=2, default=_plain))


def show_json_line(value: object) -> None:
    """Print one JSON value on stdout, on a line of its own."""
    print(json.dumps(value, separators=(",", ":"), default=_plain))


def when(time: str | None) -> str:
    """An RFC 3339 time to the second, as tables show it."""
    return "" if time is None else re.sub(r"(\.\d+)?(Z|\+00:00)$", "Z", time).replace("T", " ")


def relative(path: Path) -> str:
    """`path` as seen from the working folder, if it is inside of it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headers: coloured on a terminal, aligned text elsewhere."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        cells = ["" if cell is None else clean(str(cell)) for cell in row]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    _print(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, a pair a line, without those that have no value."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid("name", "value", padding=(0, 2))
    for name, value in facts:
        if value not in (None, ""):
            text = clean(str(value))
            table.add_row(
                Text(name, style="dim"), Text(text, STYLES.get(text, ""), overflow="fold")
            )
    _print(table)


def _print(renderable: Any) -> None:
    from rich.console import Console

    # Elsewhere than on a terminal nothing is wrapped: programs read lines.
    console = Console(width=None if sys.stdout.isatty() else 2_000, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
