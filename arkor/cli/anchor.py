"""`arkor anchor`: the head of a log as one line to keep elsewhere, signed where there is a key."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from arkor.cli.arguments import Id
from arkor.cli.place import journal
from arkor.cli.render import note, show
from arkor.errors import ArkorError, ConfigError

__all__ = ["anchor"]


def anchor(
    ctx: typer.Context,
    id: Id,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write it to a new file.", show_default=False
        ),
    ] = None,
    sign: Annotated[
        bool | None,
        typer.Option(
            "--sign/--no-sign",
            help="Sign FILE with an SSH key: FILE.sig. Without either, if there is a key.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="The key to sign with; without one, git's user.signingkey if that is an SSH key, "
            "or ~/.ssh/id_ed25519.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a run's log, and print its head as one line to keep where the journal is not.

    `arkor verify ID --head LINE` later shows that all that was recorded by now is still there.

    Examples: `arkor anchor @last`, `arkor anchor 01KA -o 01KA.anchor --sign`
    """
    if output is None and (sign or key is not None):
        raise typer.BadParameter("what is signed is a file: give -o FILE")
    if output is not None:
        _refuse_taken(output)
    if sign or key is not None:
        _chosen(key)  # before anything is written
    line = journal().anchor(id)
    show(line)
    if output is not None:
        output.write_text(f"{line}\n", encoding="utf-8")
        note(f"wrote {output}")
    if output is not None and sign is not False:
        ask = sys.stdin.isatty() and not ctx.find_root().params.get("no_input")
        _sign(output, key, ask=ask, must=bool(sign or key))


def _refuse_taken(file: Path) -> None:
    from arkor.runner.signing import signature_path

    for path in (file, signature_path(file)):
        if path.exists():
            raise ConfigError(
                f"{path} exists, and an anchor never takes the place of another; name a new file",
                field="output",
            )


def _chosen(key: Path | None) -> str:
    from arkor.runner.signing import signing_key

    chosen = signing_key(key)
    if chosen is None:
        raise ConfigError("there is no SSH key; name one with --key", field="key")
    return chosen


def _sign(file: Path, key: Path | None, *, ask: bool, must: bool) -> None:
    from arkor.runner.signing import sign

    try:
        note(f"wrote {sign(file, _chosen(key), ask=ask)}")
    except ArkorError as error:
        if must:
            raise
        note(f"not signed: {error}")
