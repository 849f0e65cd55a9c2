"""Write docs/cli.md, the reference of the command line, from the commands' own help.

With `--check` nothing is written; exits 1 if the page is not what would be written.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from arkor.cli.commands import COMMANDS
from arkor.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"

HEAD = """\
# The command line

What `arkor --help` and the help of every command say, on one page. `scripts/reference` writes it from the code, and a test
compares it; edit the docstrings under `arkor/cli/`.

## For all commands

Results are on stdout, everything else is on stderr. Tables are for people: with `--json` a command prints what
[json.md](json.md) describes. An `ID` may be a run's id or a job's, a unique prefix of one, or `@last` for the newest run.

| exit code | of `start`, `resume`, `watch` | of other commands |
| --- | --- | --- |
| 0 | completed | yes |
| 1 | failed | the answer is no |
| 2 | usage; a missing or wrong entry or setting | usage, settings |
| 3 | cancelled | |
| 4 | no end was reached: network, credentials, journal | the environment failed |
| 5 | a callback raised | |
| 130, 143 | interrupted by Ctrl-C or SIGTERM: the run goes on | interrupted |
| 141 | the reader of stdout has gone | the reader of stdout has gone |

| variable | what it does |
| --- | --- |
| `ARKOR_CLOUD_API_URL` | the backend to talk to: a URL, or `local` |
| `ARKOR_TOKEN` | the token to present; wins over the stored one |
| `ARKOR_PROJECT` | the project, as `ORG/PROJECT` |
| `ARKOR_HOME` | the store's folder |
| `ARKOR_JOURNAL_URL` | the journal, such as `sqlite:////var/lib/arkor/arkor.db` |
| `NO_COLOR` | no colours |
| `TERM=dumb` | no live line: figures as plain lines, as where stderr is no terminal |
| `CI` | nothing is asked, as with `--no-input` |
| `COLUMNS` | the width of tables and help |
| `GITHUB_STEP_SUMMARY` | GitHub Actions sets it: `start` and `resume` add a table to the job's summary |
| `GITHUB_ACTIONS` | where it is `true`, a run that does not complete is an annotation of the workflow |

The Tab key completes commands, options and the ids of runs once the shell knows of it: `arkor --install-completion` in the
shell itself, or its script from `_ARKOR_COMPLETE=source_bash arkor` (`source_zsh`, `source_fish`).

Nothing is reported to anybody: there is no telemetry, and no switch for it.
"""


def page() -> str:
    """The whole page."""
    commands = typer.main.get_group(app)
    shelved = {name for names in COMMANDS.values() for name in names}
    others = {"Others": [name for name in commands.commands if name not in shelved]}
    parts = [HEAD, _options("The options before the command:", commands)]
    for subject, names in {**COMMANDS, **others}.items():
        if names:
            parts.append(f"## {subject}\n")
        for name in names:
            parts += _command(f"arkor {name}", commands.commands[name])
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _command(name: str, command: Any) -> Iterator[str]:
    members = getattr(command, "commands", {})
    yield f"### {name}\n"
    if not members:
        yield f"    {' '.join([name, *_usage(command)])}\n"
    yield _text(command.help or "") + "\n"
    yield _table("argument", [_argument(each) for each in _params(command, "argument")])
    yield _options("", command)
    for member, one in members.items():
        yield from _command(f"{name} {member}", one)


def _usage(command: Any) -> Iterator[str]:
    if _params(command, "option"):
        yield "[OPTIONS]"
    for each in _params(command, "argument"):
        yield _metavar(each) if each.required else f"[{_metavar(each)}]"


def _text(help: str) -> str:
    """A docstring, with its examples as a block."""
    text, found, examples = inspect.cleandoc(help).rpartition("\n\nExample")
    if not found:
        return examples
    lines = re.findall(r"`([^`]+)`", examples)
    return "\n".join([text, "", *(f"    {line}" for line in lines), ""])


def _options(title: str, command: Any) -> str:
    rows = [_option(each) for each in _params(command, "option")]
    table = _table("option", rows)
    return f"{title}\n\n{table}" if title else table


def _table(what: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = [f"| {what} | what |", "| --- | --- |"]
    lines += [f"| {name} | {text} |" for name, text in rows]
    return "\n".join(lines) + "\n"


def _argument(param: Any) -> tuple[str, str]:
    return f"`{_metavar(param)}`", _described(param)


def _option(param: Any) -> tuple[str, str]:
    names = ", ".join(sorted(param.opts, key=len))
    if param.secondary_opts:
        names += " / " + ", ".join(param.secondary_opts)
    value = "" if param.is_flag else f" {_metavar(param)}"
    return f"`{names}{value}`".replace("|", "\\|"), _described(param)


def _described(param: Any) -> str:
    text = (param.help or "").replace("|", "\\|")
    shown = param.show_default
    if isinstance(shown, str):
        text += f" Default: {shown}."
    elif shown and param.default not in (None, False, (), []) and not callable(param.default):
        text += f" Default: {param.default}."
    if param.envvar:
        text += f" Else `{param.envvar}`."
    return text


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _params(command: Any, kind: str) -> list[Any]:
    found = [each for each in command.params if each.param_type_name == kind]
    return [each for each in found if not getattr(each, "hidden", False)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.name} is {'current' if current else 'not current: run scripts/reference'}")
        return int(not current)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
