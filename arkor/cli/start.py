"""`arkor start` and `arkor build`: a project's trainer, run or packed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkor.cli.arguments import Json
from arkor.cli.follow import Following
from arkor.cli.place import journal
from arkor.cli.preview import preview
from arkor.cli.render import note, relative, show, show_json
from arkor.errors import ConfigError

if TYPE_CHECKING:
    from arkor.runner.trainer import Trainer

__all__ = ["build", "start"]

Entry = Annotated[
    Path | None,
    typer.Argument(
        help="A source file or a built artifact; without one, the project's own entry.",
        show_default=False,
    ),
]


def build(entry: Entry = None, as_json: Json = False) -> None:
    """Pack the entry and the project's modules it imports into `.arkor/build/index.pyz`.

    The same sources give the same bytes. `arkor start .arkor/build/index.pyz` runs them.

    Examples: `arkor build`, `arkor build train.py`
    """
    from arkor.runner.build import build as pack

    built = pack(entry)
    if as_json:
        show_json({"entry": str(built.entry), "path": str(built.path), "sha256": built.sha256})
        return
    show(f"Built {relative(built.entry)} → {relative(built.path)}")
    note(f"sha256 {built.sha256}")


def start(
    entry: Entry = None,
    backend: Annotated[
        str | None,
        typer.Option(help="`local` trains on this machine; else a URL.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="At most 50 rows and 10 steps.")
    ] = False,
    run_key: Annotated[
        str | None,
        typer.Option(
            help="One key, one run, for ever: a finished one is not run again. `%Y`, `%m`, `%d` "
            "and the like are today's."
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--new",
            help="Go on with a run that a dead process left, if there is one; or submit a new one.",
            show_default="as the trainer says",
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the backend has accepted the run.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Load the trainer and show what it asks for; submit nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Of --check: print JSON.")] = False,
) -> None:
    """Run the project's trainer and follow it to its end; started again, it goes on.

    Exits 0 completed, 1 failed, 2 usage, 3 cancelled, 4 no end was reached, 5 a callback
    raised, 130 or 143 interrupted (the run goes on). Ctrl-C leaves the run, and says how to
    watch, resume and cancel it.

    Examples: `arkor start --backend local`, `arkor start --check`, `arkor start train.py --run-key nightly-%Y-%m-%d`
    """
    if as_json and not check:
        raise typer.BadParameter("--json goes with --check: what callbacks print is no JSON")
    if resume is False and run_key is not None:
        raise typer.BadParameter("--new and --run-key exclude each other: a key means one run")
    if backend is not None:
        os.environ["ARKOR_CLOUD_API_URL"] = _address(backend)
    from arkor.runner.project import load_trainer

    trainer = load_trainer(entry)
    if changes := _changes(dry_run, run_key, resume):
        trainer = trainer.with_options(**changes)
    if check:
        preview(trainer, as_json=as_json)
        return

    async def take() -> "Trainer":
        return trainer

    raise typer.Exit(Following(take).run(detach=detach))


def _changes(dry_run: bool, run_key: str | None, resume: bool | None) -> dict[str, Any]:
    """The options of the trainer that the command line changes."""
    changes: dict[str, Any] = {}
    if dry_run:
        changes["dry_run"] = True
    if run_key is not None:
        changes["run_key"] = _dated(run_key)
    if resume is not None:
        changes["resume"] = "orphaned" if resume else "never"
    return changes


def _dated(run_key: str) -> str:
    """The key with today's date in the place of its pattern; see `expand_key`."""
    if "%" not in run_key:
        return run_key
    from datetime import datetime

    from arkor.runner.nightly import expand_key
    from arkor.store.state import project_root

    ours = journal().runs(project_root())
    now = datetime.now().astimezone()
    return expand_key(run_key, now, (run for run in ours if not run.imported_at))


def _address(given: str) -> str:
    from arkor.runner.settings import check_address

    if not given:
        raise ConfigError("--backend must be `local` or a URL, and is empty", field="backend")
    check_address(given, "--backend")
    return given
