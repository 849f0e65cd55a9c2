"""What a project of Arkor's needs in a `pyproject.toml` that is there already."""

import re
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

from arkor.runner.textfile import in_its_style

__all__ = ["ENTRY", "REQUIREMENT", "completed"]

REQUIREMENT: Final = "arkor[backend]"
ENTRY: Final = "src/arkor/index.py"

_POETRY: Final = 'arkor = { version = "*", extras = ["backend"] }'
_POETRY_VALUE: Final = tomllib.loads(_POETRY)["arkor"]

Table = dict[str, Any]


def completed(text: str) -> tuple[str, list[str]]:
    """`text` with what it lacks, and what could not be put into it, in words.

    Nothing else changes: an edit whose result does not read as the old table with that one
    addition is not made. Raises `ValueError` if `text` is no TOML.
    """
    lacking = []
    for edit in (_dependency, _settings):
        now = tomllib.loads(_plain(text))
        wish = edit(now)
        if wish is None:
            continue
        wanted, candidates, words = wish
        found = next((new for new in candidates(text) if _reads_as(new, wanted)), None)
        if found is None:
            lacking.append(words)
        else:
            text = found
    return text, lacking


Wish = tuple[Table, Callable[[str], Iterator[str]], str]
"""The table as it should read, the edits that might make it so, and the addition in words."""


def _dependency(table: Table) -> Wish | None:
    project, poetry = table.get("project"), _at(table, "tool", "poetry", "dependencies")
    named = _at(table, "project", "dependencies") or []
    if any(_is_arkor(item) for item in named) or (isinstance(poetry, dict) and "arkor" in poetry):
        return None
    wanted = deepcopy(table)
    words = f'"{REQUIREMENT}" among its dependencies'
    if isinstance(project, dict) and "dependencies" not in project.get("dynamic", []):
        wanted["project"]["dependencies"] = [*named, REQUIREMENT]
        return wanted, _project_edits, words
    if isinstance(poetry, dict):
        wanted["tool"]["poetry"]["dependencies"]["arkor"] = _POETRY_VALUE
        return wanted, _poetry_edits, words
    return wanted, _nowhere, words


def _settings(table: Table) -> Wish | None:
    if _at(table, "tool", "arkor") is not None:
        return None
    wanted = deepcopy(table)
    lines = f'[tool.arkor]\nentry = "{ENTRY}"'
    if isinstance(tool := wanted.setdefault("tool", {}), dict):
        tool["arkor"] = {"entry": ENTRY}
    return wanted, lambda text: iter([_with_table(text, lines)]), lines.replace("\n", ", ")


def _project_edits(text: str) -> Iterator[str]:
    """What might add our requirement to `[project]`: at its list's start, or a list of its own."""
    for match in re.finditer(r"^[ \t]*dependencies[ \t]*=[ \t]*\[", text, re.M):
        before, after = text[: match.end()], text[match.end() :]
        inner, closing, rest = after.partition("]")
        if not inner.strip():
            yield f'{before}"{REQUIREMENT}"{closing}{rest}'
        yield from _at_list_end(before, after)
    yield from _under(text, "project", f'dependencies = ["{REQUIREMENT}"]')


def _at_list_end(before: str, after: str) -> Iterator[str]:
    """Our requirement as the last item; a `]` may also stand in an item (`x[extra]`)."""
    for bracket in re.finditer(r"\]", after):
        items, rest = after[: bracket.start()], after[bracket.start() :]
        kept = items.rstrip()
        space = items[len(kept) :]
        comma = "" if kept.endswith(",") else ","
        if "\n" in items:
            lead = re.search(r"\n([ \t]*)\S", items)
            indent = in_its_style("\n", items) + (lead[1] if lead else "    ")
            yield f'{before}{kept}{comma}{indent}"{REQUIREMENT}",{space}{rest}'
        else:
            yield f'{before}{kept}{comma} "{REQUIREMENT}"{space}{rest}'


def _nowhere(text: str) -> Iterator[str]:
    return iter(())


def _poetry_edits(text: str) -> Iterator[str]:
    return _under(text, "tool.poetry.dependencies", _POETRY)


def _under(text: str, header: str, line: str) -> Iterator[str]:
    """`line` as the first one of the table `header`."""
    for match in re.finditer(rf"^\[{re.escape(header)}\][^\n]*\n", text, re.M):
        yield text[: match.end()] + in_its_style(f"{line}\n", text) + text[match.end() :]


def _with_table(text: str, lines: str) -> str:
    end = in_its_style("\n", text)
    gap = "" if not text.strip("\ufeff") else end if text.endswith("\n") else end * 2
    return text + gap + in_its_style(f"{lines}\n", text)


def _reads_as(text: str, wanted: Table) -> bool:
    try:
        read = tomllib.loads(_plain(text))
    except ValueError:
        return False
    return read == wanted


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff")


def _at(table: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(table, dict):
            return None
        table = table.get(name)
    return table


def _is_arkor(requirement: str) -> bool:
    return re.match(r"\s*arkor\s*($|[^A-Za-z0-9._\-\s])", requirement, re.I) is not None
