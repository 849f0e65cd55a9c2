"""The `arkor` command: its subcommands, and what holds for all of them."""

import io
import sys
import warnings
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from arkor.cli.commands import Commands
from arkor.cli.outdated import say_outdated
from arkor.cli.place import journal_at
from arkor.cli.render import note, show
from arkor.errors import ArkorWarning

__all__ = ["app", "main"]

BEGINS: Final = frozenset({"start", "import"})
"""The commands that make a journal where there is none; to the others it must be there."""

app = typer.Typer(
    name="arkor",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the journal holds is printed whatever the terminal's encoding can show.
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    try:
        app(prog_name="arkor")
    finally:
        say_outdated()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say a warning of ours as a note; others, such as a callback's, keep their place."""
    if issubclass(category, ArkorWarning):
        note(f"warning: {message}")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        print(text, end="", file=file or sys.stderr)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            show(f"arkor {version('arkor')}")
        except PackageNotFoundError:
            show("arkor 0+unknown (not installed: running from its sources)")
        raise typer.Exit


@app.callback()
def common(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Ask nothing: take the defaults.")
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The journal to use, such as a copy; what only reads changes nothing there.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Drive fine-tuning runs, with every event of a run in a durable local journal.

    `arkor init` writes a project that runs; `arkor start --backend local` trains it on this
    machine; `arkor runs`, `arkor show @last` and `arkor events @last` read the journal.
    """
    if journal is not None:
        ctx.with_resource(journal_at(journal, create=ctx.invoked_subcommand in BEGINS))
