"""`import arkor` stays cheap: a name is imported when it is used, and nothing heavy comes along."""

import json
import subprocess
import sys
from pathlib import Path

import arkor

ROOT = Path(__file__).parents[1]
HEAVY = {"alembic", "rich", "starlette", "torch", "typer", "uvicorn"}
OF_USE = {"httpx", "sqlalchemy"}
"""What a program that trains needs, and one that only imports `arkor` does not."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, check=False
    )


def modules_after(statement: str) -> set[str]:
    """The packages that are loaded when `statement` has run."""
    shown = run("-c", f"{statement}\nimport json, sys; print(json.dumps([*sys.modules]))")
    assert shown.returncode == 0, shown.stderr
    return {name.partition(".")[0] for name in json.loads(shown.stdout)}


def test_importing_arkor_brings_nothing_heavy_along() -> None:
    assert not modules_after("import arkor") & (HEAVY | OF_USE)
    assert not modules_after("from arkor import *") & HEAVY


def test_the_names_that_type_checkers_see_are_those_that_are_there(tmp_path: Path) -> None:
    assert sorted(arkor._MODULES) == sorted(arkor.__all__)
    (tmp_path / "user.py").write_text(
        "import arkor\nfrom arkor import create_trainer\nreveal_type(create_trainer)\narkor.trainer"
    )
    mypy = run("-m", "mypy", "--strict", "--follow-imports=silent", str(tmp_path / "user.py"))
    found = [line for line in mypy.stdout.splitlines() if ": error: " in line]
    assert len(found) == 1, mypy.stdout + mypy.stderr
    assert 'has no attribute "trainer"' in found[0]
    assert "-> arkor.runner.trainer.Trainer" in mypy.stdout


def test_importing_arkor_costs_little_beside_sqlalchemy_and_httpx() -> None:
    # Another test may take the processor meanwhile: a second measurement settles it.
    measured = [run("scripts/import_cost.py")]
    if measured[0].returncode:
        measured.append(run("scripts/import_cost.py"))
    assert measured[-1].returncode == 0, [one.stdout + one.stderr for one in measured]
