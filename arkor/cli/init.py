"""`arkor init` and `arkor new`: write a project that runs, install what it needs, commit it."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from arkor.cli.choices import DEFAULT, Choices, Given, choose, may_ask, one_of
from arkor.cli.completion import complete_template
from arkor.cli.extras import INSTALL_BACKEND, missing_for_backend
from arkor.cli.render import note, relative, show, show_json
from arkor.runner.dependencies import install
from arkor.runner.repository import commands, first_commit, is_in_repository
from arkor.runner.scaffold import TEMPLATES, Written, scaffold

__all__ = ["init", "new"]

LOCKS = ("uv.lock", "poetry.lock")
"""What an installer may add to the first commit."""

Template = Annotated[
    str | None,
    typer.Option(
        help=f"One of: {', '.join(TEMPLATES)}.",
        show_default=DEFAULT,
        autocompletion=complete_template,
    ),
]
Name = Annotated[
    str | None, typer.Option(help="The project's name.", show_default="that of the folder")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Take the defaults and commit; ask nothing.")
]
UseUv = Annotated[bool, typer.Option("--use-uv", help="Install with `uv sync`.")]
UsePip = Annotated[
    bool,
    typer.Option("--use-pip", help="Install with pip: into `.venv`, or the active environment."),
]
UsePoetry = Annotated[bool, typer.Option("--use-poetry", help="Install with `poetry install`.")]
SkipInstall = Annotated[bool, typer.Option("--skip-install", help="Install nothing.")]
Git = Annotated[bool, typer.Option("--git", help="Make a git repository and a first commit.")]
SkipGit = Annotated[bool, typer.Option("--skip-git", help="Make none.")]
Agents = Annotated[
    bool, typer.Option("--agents-md", help="Write AGENTS.md and CLAUDE.md: the default.")
]
NoAgents = Annotated[bool, typer.Option("--no-agents-md", help="Write neither.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


def init(
    context: typer.Context,
    template: Template = None,
    name: Name = None,
    yes: Yes = False,
    use_uv: UseUv = False,
    use_pip: UsePip = False,
    use_poetry: UsePoetry = False,
    skip_install: SkipInstall = False,
    git: Git = False,
    skip_git: SkipGit = False,
    agents_md: Agents = False,
    no_agents_md: NoAgents = False,
    as_json: AsJson = False,
) -> None:
    """Write a project that runs into this folder. What is there already is never overwritten.

    Without an installer's option, the folder's lock files, the launcher (`uv run`) and the
    virtual environment say what installs Arkor into it. With CLAUDECODE=1 every choice must be
    said, or -y.

    Examples: `arkor init`, `arkor init -y --template translate`, `arkor init --use-uv --git`
    """
    del template, name, yes, use_uv, use_pip, use_poetry, skip_install
    del git, skip_git, agents_md, no_agents_md
    _make(context, "init", None, as_json)


def new(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The folder to make.", show_default="the name"),
    ] = None,
    template: Template = None,
    name: Name = None,
    yes: Yes = False,
    use_uv: UseUv = False,
    use_pip: UsePip = False,
    use_poetry: UsePoetry = False,
    skip_install: SkipInstall = False,
    git: Git = False,
    skip_git: SkipGit = False,
    agents_md: Agents = False,
    no_agents_md: NoAgents = False,
    as_json: AsJson = False,
) -> None:
    """Make a folder with a project that runs: `arkor init` in a new place.

    Examples: `arkor new triage`, `arkor new --name "My Bot" --template redaction -y`
    """
    del template, name, yes, use_uv, use_pip, use_poetry, skip_install
    del git, skip_git, agents_md, no_agents_md
    _make(context, "new", folder, as_json)


@dataclass(slots=True)
class _Made:
    """What was done, as `--json` prints it."""

    files: list[Written] = field(default_factory=list)
    installed: bool = False
    committed: bool = False
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        note(f"warning: {text}")


def _make(context: typer.Context, command: str, folder: Path | None, as_json: bool) -> None:
    given = _given(context.params, command, folder)
    choices = choose(given, asking=may_ask(context))
    made = _Made()
    for written in _written(choices):
        made.files.append(written)
        if not as_json:
            show(f"{written.action:<8} {written.path}")
    for written in made.files:
        if written.warning:
            made.warn(f"{written.path}: {written.warning}")
    blocked = any(written.blocks for written in made.files)
    needed = _needs_install(choices)
    failed = blocked and not given.skip_install
    if needed and choices.install and not blocked:
        failed = not _install(choices, made)
    if choices.git and not failed:
        _commit(choices, made, command)
    following = list(_next(choices, made, command, needed and not made.installed))
    if as_json:
        show_json(_report(choices, made, following))
    note("Next:\n" + "\n".join(f"  {line}" for line in following))


def _given(params: dict[str, Any], command: str, folder: Path | None) -> Given:
    installers = {f"--use-{name}": params[f"use_{name}"] for name in ("uv", "pip", "poetry")}
    use = one_of(installers)
    git = one_of({"--git": params["git"], "--skip-git": params["skip_git"]})
    agents = one_of({"--agents-md": params["agents_md"], "--no-agents-md": params["no_agents_md"]})
    return Given(
        command=command,
        folder=folder,
        template=params["template"],
        name=params["name"],
        installer=use and use.removeprefix("--use-"),
        skip_install=params["skip_install"],
        git=None if git is None else git == "--git",
        agents=None if agents is None else agents == "--agents-md",
        yes=params["yes"],
    )


def _written(choices: Choices) -> Iterator[Written]:
    return scaffold(
        choices.folder,
        name=choices.name,
        template=choices.template,
        agents=choices.agents,
        run=choices.installer.run if choices.installer else "",
    )


def _needs_install(choices: Choices) -> bool:
    """Whether anything is to be installed: not if all is here that the project needs."""
    how = choices.installer
    return bool(missing_for_backend()) if how is None or how.own else True


def _install(choices: Choices, made: _Made) -> bool:
    how = choices.installer
    assert how is not None, "who installs has chosen an installer"
    note(f"{how}   ({how.because})")
    problem = install(how, choices.folder)
    made.installed = problem is None
    if problem:
        made.warn(
            f"{problem}; the project is written, and nothing is committed. If the package index "
            "has no `arkor`, name the folder of its wheel in PIP_FIND_LINKS or UV_FIND_LINKS"
        )
    return made.installed


def _commit(choices: Choices, made: _Made, command: str) -> None:
    if is_in_repository(choices.folder):
        return  # the installer made one
    committed = first_commit(choices.folder, _ours(choices, made), command=command)
    made.committed = committed.done
    if committed.warning:
        made.warn(committed.warning)


def _ours(choices: Choices, made: _Made) -> list[str]:
    """What the first commit holds: what we wrote or added to, and the lock; nobody's secrets."""
    ours = [written.path for written in made.files if written.action not in ("kept", "skipped")]
    return [*ours, *(lock for lock in LOCKS if (choices.folder / lock).is_file())]


def _next(choices: Choices, made: _Made, command: str, install_first: bool) -> Iterator[str]:
    """What to type now, a command a line."""
    here = relative(choices.folder)
    if here != ".":
        yield f"cd {shlex.quote(here)}"
    if install_first:
        yield str(choices.installer or INSTALL_BACKEND)
    if choices.git and not made.committed:
        yield from commands(command, _ours(choices, made))
    run = choices.installer.run if choices.installer else ""
    yield f"{run}arkor start --backend local"


def _report(choices: Choices, made: _Made, following: list[str]) -> dict[str, Any]:
    return {
        "folder": str(choices.folder),
        "name": choices.name,
        "template": choices.template,
        "files": [{"path": file.path, "action": file.action} for file in made.files],
        "installer": choices.installer.name if choices.installer else None,
        "installed": made.installed,
        "committed": made.committed,
        "warnings": made.warnings,
        "next": following,
    }
