"""`arkor show`: who started a run, who took it over, and what of the code had changed by then."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from cli_runs import write_run

from arkor.core.notes import Resumed, entry_of

Arkor = Callable[..., CompletedProcess[str]]

FIRST: dict[str, Any] = {
    "host": "alpha",
    "pid": 7,
    "user": "ann",
    "arkor": "0.1.0",
    "python": "3.12.3",
    "platform": "Linux 6.1 x86_64",
    "entry": "src/arkor/index.py",
    "project_root": "/home/ann/triage",
    "digests": {"src/arkor/index.py": "00", "src/arkor/rows.py": "01"},
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "callbacks": [
        {
            "name": "main",
            "functions": {"on_log": {"function": "src.arkor.index.watch", "digest": "ab" * 32}},
        }
    ],
}
SECOND = {
    **FIRST,
    "user": "bob",
    "digests": {"src/arkor/index.py": "02", "src/arkor/rows.py": "01"},
}


def resumed(epoch: int, provenance: dict[str, Any], *, without_code: bool = False) -> Any:
    return entry_of(Resumed(epoch, False, ("main",), provenance, without_code))


def facts(done: CompletedProcess[str]) -> list[tuple[str, str]]:
    assert done.returncode == 0, done.stderr
    lines = [line.partition("  ") for line in done.stdout.splitlines()]
    return [(name, value.strip()) for name, _, value in lines]


def test_who_had_the_run_is_told(here: Arkor, home: Path, folder: Path) -> None:
    write_run(home, folder, "a", resumed(2, FIRST), resumed(3, SECOND))
    shown = facts(here("show", "@last"))
    (started,) = [value for name, value in shown if name == "started by"]
    assert started.startswith("somebody at 20")  # the wish of this log said nothing of itself
    first, second = [value for name, value in shown if name == "taken over by"]
    assert first.startswith("ann on alpha (process 7) at ")
    assert first.endswith("record 3")
    assert second.startswith("bob on alpha (process 7) at ")
    assert second.endswith("record 4; changed since: src/arkor/index.py")

    said = json.loads(here("show", "@last", "--json").stdout)
    assert [owner["seq"] for owner in said["owners"]] == [1, 3, 4]
    assert said["owners"][1]["provenance"] == FIRST
    assert said["provenance"] == SECOND


def test_the_code_of_the_first_owner_is_told(here: Arkor, home: Path, folder: Path) -> None:
    write_run(home, folder, "a", provenance=FIRST)
    shown = dict(facts(here("show", "@last")))
    assert shown["started by"].startswith("ann on alpha (process 7) at 20")
    assert shown["with"] == "Arkor 0.1.0, Python 3.12.3, Linux 6.1 x86_64"
    assert shown["code"] == (
        "src/arkor/index.py, in /home/ann/triage, 2 modules, commit 0123456789ab with changes"
    )
    assert shown["code of main"] == "on_log src.arkor.index.watch (abababababab)"


def test_code_is_compared_with_that_of_the_owner_who_had_some(
    here: Arkor, home: Path, folder: Path
) -> None:
    adopted = resumed(2, {"user": "cleo"}, without_code=True)
    write_run(home, folder, "a", adopted, resumed(3, SECOND), provenance=FIRST)
    shown = dict(facts(here("show", "@last")))
    assert shown["its job named by"].startswith("cleo at 20")
    assert shown["taken over by"].endswith("changed since: src/arkor/index.py")


def test_of_many_takeovers_the_newest_are_told(here: Arkor, home: Path, folder: Path) -> None:
    takeovers = [resumed(epoch, {**FIRST, "pid": epoch}) for epoch in range(2, 14)]
    write_run(home, folder, "a", *takeovers)
    shown = facts(here("show", "@last"))
    assert ("taken over", "12 times; the newest 5:") in shown
    told = [value for name, value in shown if name == "taken over by"]
    assert [value.partition("process ")[2].partition(")")[0] for value in told] == [
        "9", "10", "11", "12", "13",
    ]  # fmt: skip
