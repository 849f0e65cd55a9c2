"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from arkor.cli.completion import complete_run

__all__ = ["Id", "Json"]

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A run's or a job's id, a unique prefix of one, or @last.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
