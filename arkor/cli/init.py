"""`arkor init`: write a project that runs into this folder."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from arkor.cli.extras import INSTALL_BACKEND, missing_for_backend
from arkor.cli.render import note, show
from arkor.runner.scaffold import TEMPLATES, project_name, scaffold

__all__ = ["init"]


def init(
    context: typer.Context,
    template: Annotated[
        str | None,
        typer.Option(help=f"One of: {', '.join(TEMPLATES)}.", show_default=TEMPLATES[0]),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The project's name.", show_default="that of the folder")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the defaults; ask nothing.")
    ] = False,
) -> None:
    """Write a project that runs into this folder. A file that is there is never overwritten.

    Example: `mkdir triage && cd triage && arkor init -y && arkor start --backend local`
    """
    folder = Path.cwd()
    asking = not yes and _may_ask(context)
    if template is None:
        template = TEMPLATES[0]
        if asking:
            template = typer.prompt(f"Template ({', '.join(TEMPLATES)})", default=template)
    if name is None:
        name = folder.name
        if asking:
            name = typer.prompt("Name", default=project_name(name))
    for written in scaffold(folder, name=project_name(name), template=template):
        show(f"{written.action:<8} {written.path}")
        if written.hint:
            note(f"{written.path}: {written.hint}")
    first = f"{INSTALL_BACKEND}, then " if missing_for_backend() else ""
    note(f"Next: {first}arkor start --backend local")


def _may_ask(context: typer.Context) -> bool:
    if context.find_root().params.get("no_input") or os.environ.get("CI"):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()
