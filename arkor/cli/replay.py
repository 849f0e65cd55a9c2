"""`arkor replay`: today's callbacks over a recorded run, offline."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkor.cli.arguments import Id, Json
from arkor.cli.door import Exit
from arkor.cli.place import journal, store_home, working_in
from arkor.cli.render import note, show, show_json
from arkor.core.state import RunState
from arkor.errors import ConfigError

if TYPE_CHECKING:
    from arkor.runner.recorded import RecordedEntry
    from arkor.runner.replay import ReplayReport

__all__ = ["replay"]


def replay(
    id: Id,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 if anything diverges: for CI.")
    ] = False,
    entry: Annotated[
        Path | None,
        typer.Option(
            help="The source file or built artifact whose callbacks are run; without one, the "
            "entry that the run began with.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run today's callbacks over a recorded run, and say where they do something else.

    Offline; nothing is written, and recorded effects are recalled. The entry's code runs from
    its project's root; what it prints goes to stderr.

    Examples: `arkor replay @last`, `arkor replay 01KA --check --entry src/arkor/index.py`
    """
    state = journal().run(id)
    # What the callbacks print is not data of ours.
    with contextlib.redirect_stdout(sys.stderr):
        recorded, report = _replay(state, entry)
    unbound = sorted(state.consumers.keys() - {each.name for each in recorded.trainer.consumers})
    if as_json:
        show_json(_as_json(recorded, report, unbound))
    else:
        _print(recorded, report, unbound)
    raise typer.Exit(Exit.NO if check and not report.ok else Exit.OK)


def _replay(state: RunState, entry: Path | None) -> tuple["RecordedEntry", "ReplayReport"]:
    from arkor.runner.recorded import recorded_root
    from arkor.store.state import project_root

    home, given = store_home(), entry and entry.absolute()
    with working_in(project_root(given.parent) if given else recorded_root(state)):
        return _run_again(state, given, home)


def _run_again(
    state: RunState, entry: Path | None, home: Path
) -> tuple["RecordedEntry", "ReplayReport"]:
    from arkor.runner.recorded import load_recorded
    from arkor.runner.replay import replay as run_again

    recorded = load_recorded(state, entry)
    if recorded is None:
        raise ConfigError(
            f"run {state.run_id} was started by a script of its own; name the entry whose "
            f"callbacks are to be run: arkor replay {state.run_id} --entry PATH"
        )
    again = run_again(state.run_id, recorded.trainer.consumers, strict=False, home=home)
    return recorded, asyncio.run(again)


def _print(recorded: "RecordedEntry", report: "ReplayReport", unbound: list[str]) -> None:
    for call in report.calls:
        steps = "; ".join(call.steps)
        show(f"{call.seq:>5}  {call.consumer:<16}  {call.callback:<13}  {steps}".rstrip())
    if recorded.changed:
        note(f"changed since the run: {', '.join(recorded.changed)}")
    for name in unbound:
        note(f"the run called {name!r}, and no callback set of today has that name")
    for divergence in report.divergences:
        note(f"diverges at {divergence}")
    count = len(report.divergences)
    found = f"{count} divergence{'' if count == 1 else 's'}" if count else "nothing diverges"
    note(f"replayed {len(report.calls)} calls of run {report.run_id}: {found}")


def _as_json(
    recorded: "RecordedEntry", report: "ReplayReport", unbound: list[str]
) -> dict[str, Any]:
    return {
        "runId": report.run_id,
        "ok": report.ok,
        "entry": str(recorded.path),
        "changed": list(recorded.changed),
        "unbound": unbound,
        "calls": [
            {
                "seq": call.seq,
                "consumer": call.consumer,
                "callback": call.callback,
                "steps": list(call.steps),
            }
            for call in report.calls
        ],
        "divergences": [
            {
                "seq": each.seq,
                "consumer": each.consumer,
                "expected": each.expected,
                "actual": each.actual,
            }
            for each in report.divergences
        ],
    }
