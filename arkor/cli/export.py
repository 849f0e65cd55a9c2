"""`arkor export` and `arkor import`: a run's log as a file, and back."""

import enum
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from arkor.cli.arguments import Id, Json
from arkor.cli.place import journal, store_home
from arkor.cli.render import note, show, show_json

__all__ = ["Format", "export_run", "import_file"]

STREAM = Path("-")


class Format(enum.StrEnum):
    """What `arkor export` can write."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    CLOUDEVENTS = "cloudevents"


def export_run(
    id: Id,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="What to write; `jsonl` can be imported.")
    ] = Format.JSONL,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` is standard output."),
    ] = STREAM,
) -> None:
    """Write the whole log of a run to a file that others can read.

    `jsonl` and `csv` have a line for each record, `cloudevents` a CloudEvent 1.0; `parquet` needs
    the extra `export`. Only `jsonl` has all that the digests cover, and nothing changed in it.

    Examples: `arkor export @last > run.jsonl`, `arkor export 01KA -f parquet -o run.parquet`
    """
    if output == STREAM and format == Format.PARQUET and sys.stdout.isatty():
        raise typer.BadParameter("parquet is not for a terminal; name a file with -o FILE")
    book = journal()
    pieces = book.export(book.resolve(id), format.value)
    with _open_output(output) as file:
        for piece in pieces:
            file.write(piece)
    if output != STREAM:
        note(f"wrote {output}")


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file in JSON lines, or `-`; it may be .zst.")
    ],
    as_json: Json = False,
) -> None:
    """Take a run that `arkor export` wrote, or `arkor prune` archived, into the journal.

    Every record is checked on the way, and keeps its digest: `arkor verify` gives the same head.
    `--json` prints `runId`, `records`, `head`, and `outcome`: `imported`, `restored` (it had been
    pruned) or `already` (it was there). `arkor start` and `arkor resume --all` leave an imported
    run alone.

    Examples: `arkor import run.jsonl`, `zstdcat run.jsonl.zst | arkor import -`
    """
    from arkor.store.importing import import_run
    from arkor.store.writer import open_writer

    name = "standard input" if file == STREAM else str(file)
    with _open_input(file) as stream:
        run = import_run(open_writer(store_home()), stream, name)
    if as_json:
        found = {"runId": run.run_id, "records": run.records, "head": run.head.hex()}
        show_json({**found, "outcome": run.outcome})
        return
    done = {
        "imported": "Imported",
        "restored": "Restored the pruned",
        "already": "The journal already has",
    }
    show(f"{done[run.outcome]} run {run.run_id}: {run.records} records, head {run.head.hex()}")


@contextmanager
def _open_output(path: Path) -> Iterator[BinaryIO]:
    from arkor.store.files import private_file

    if path == STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        with path.open("wb") as stream:  # a pipe or a device is written to, not replaced
            yield stream
    else:
        with private_file(path, part=path.with_name(f".arkor-export-{os.getpid()}")) as stream:
            yield stream


@contextmanager
def _open_input(path: Path) -> Iterator[BinaryIO]:
    if path != STREAM:
        with path.open("rb") as stream:
            yield stream
    elif sys.stdin.isatty():
        raise typer.BadParameter("standard input is a terminal; name a file, or pipe one in")
    else:
        yield sys.stdin.buffer
