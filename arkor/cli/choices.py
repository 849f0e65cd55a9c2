"""What a new project shall be: said by options, asked at a terminal, or taken by default."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from arkor.cli.door import Exit
from arkor.cli.render import note
from arkor.errors import ConfigError
from arkor.runner.dependencies import Installer, detect_installer, installer
from arkor.runner.repository import is_in_repository
from arkor.runner.scaffold import NO_NAME, TEMPLATES, check_template, project_name

__all__ = ["DEFAULT", "Choices", "Given", "choose", "may_ask", "one_of"]

DEFAULT: Final = next(iter(TEMPLATES))
"""The template of who names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says. `None` where it says nothing.

    `command` is `init`, which writes into the working folder, or `new`, which makes `folder`.
    """

    command: str
    folder: Path | None
    template: str | None
    name: str | None
    installer: str | None
    skip_install: bool
    git: bool | None
    agents: bool | None
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What is done. `installer` is what the project is used with, if `install` says so at once."""

    folder: Path
    name: str
    template: str
    installer: Installer | None
    install: bool
    git: bool
    agents: bool


def one_of(options: dict[str, bool]) -> str | None:
    """The one option that was given; `BadParameter` for several."""
    given = [option for option, value in options.items() if value]
    if len(given) > 1:
        *names, last = options
        raise typer.BadParameter(
            f"Pick one of {', '.join(names)} / {last}, not both"
            if len(options) == 2
            else f"Pick one of {', '.join(names)} and {last}"
        )
    return given[0] if given else None


def may_ask(context: typer.Context) -> bool:
    """Whether somebody is there to answer: a terminal, no `CI`, no `--no-input`."""
    if context.find_root().params.get("no_input") or os.environ.get("CI"):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


def choose(given: Given, *, asking: bool) -> Choices:
    """Decide everything, before anything is written.

    Raises `ConfigError` for an unknown template or a folder that is not ours to fill, and exits
    with code 2 if a coding agent has left a choice open.
    """
    if given.template is not None:
        check_template(given.template)
    strict = os.environ.get("CLAUDECODE") == "1" and not given.yes
    if strict and (missing := list(_left_open(given))):
        _refuse(given.command, missing)
    asking = asking and not strict and not given.yes
    template = given.template or (_ask_template() if asking else DEFAULT)
    folder, name = _place(given, asking)
    git = _wants_git(given, folder, asking)
    how = installer(given.installer, folder) if given.installer else detect_installer(folder)
    return Choices(
        folder=folder,
        name=name,
        template=template,
        installer=how,
        install=how is not None and not given.skip_install,
        git=git,
        agents=given.agents is not False,
    )


def _left_open(given: Given) -> Iterator[tuple[str, str]]:
    """The options that somebody who cannot be asked must give, with what each decides."""
    if given.template is None:
        yield f"--template {'|'.join(TEMPLATES)}", "which project is written"
    if given.command == "new" and given.folder is None and given.name is None:
        yield "DIR, or --name TEXT", "where it is written"
    elif not _is_name(given.name if given.name is not None else _base(given.folder)):
        yield "--name TEXT", "the project's name: the folder's has no ASCII letter and no digit"
    if given.git is None:
        yield "--git, or --skip-git", "whether it becomes a git repository with a first commit"
    if given.installer is None and not given.skip_install:
        yield "--use-uv, --use-pip, --use-poetry, or --skip-install", "what installs Arkor into it"
    if given.agents is None:
        yield "--agents-md, or --no-agents-md", "whether it gets AGENTS.md and CLAUDE.md"


def _refuse(command: str, missing: list[tuple[str, str]]) -> None:
    note(f"error: arkor {command}: CLAUDECODE=1 detected, so nothing is asked and nothing guessed.")
    note("Ask the user about these, and say them all:")
    for option, meaning in missing:
        note(f"  {option}\n      {meaning}")
    note("Or take every default with -y/--yes. Nothing was written.")
    raise typer.Exit(Exit.USAGE)


def _place(given: Given, asking: bool) -> tuple[Path, str]:
    """The project's folder and name."""
    if given.command == "init" or given.folder is not None:
        folder = Path(given.folder or ".").absolute()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; name a folder", field="dir")
        name = given.name
        if name is None:
            name = project_name(_base(given.folder))
            if asking:
                name = typer.prompt("Name", default=name, err=True)
        return folder, project_name(name)
    return _new_folder(given.name, asking)


def _new_folder(name: str | None, asking: bool) -> tuple[Path, str]:
    """A folder named as the project; whoever named no folder fills none that has something."""
    while True:
        asked = name is None and asking
        chosen = project_name(
            typer.prompt("Name", default=NO_NAME, err=True) if asked else name or NO_NAME
        )
        folder = Path.cwd() / chosen
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder, chosen
        said = f"{folder} is there and not empty; take another name, or say `arkor new {chosen}`"
        if not asked:
            raise ConfigError(f"{said} to write what it lacks into it", field="name")
        note(said)


def _ask_template() -> str:
    width = max(map(len, TEMPLATES))
    for name, about in TEMPLATES.items():
        note(f"  {name:<{width}}  {about}")
    while (answer := typer.prompt("Template", default=DEFAULT, err=True).strip()) not in TEMPLATES:
        note(f"There are {', '.join(TEMPLATES)}.")
    return str(answer)


def _wants_git(given: Given, folder: Path, asking: bool) -> bool:
    if given.git is False:
        return False
    if is_in_repository(folder):
        note("git: already inside a git repository; nothing is committed")
        return False
    if given.git or given.yes:
        return True
    return asking and typer.confirm("Make it a git repository?", default=True, err=True)


def _base(folder: Path | None) -> str:
    return Path(folder or ".").resolve().name


def _is_name(text: str) -> bool:
    return re.search("[a-z0-9]", text, re.I) is not None
