"""`import arkor` stays cheap: nothing heavy comes along, and it costs what its two bases cost."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {"alembic", "rich", "starlette", "torch", "typer", "uvicorn"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_importing_arkor_brings_nothing_heavy_along() -> None:
    shown = run("-c", "import arkor, json, sys; print(json.dumps([*sys.modules]))")
    assert shown.returncode == 0, shown.stderr
    assert not HEAVY & {name.partition(".")[0] for name in json.loads(shown.stdout)}


def test_importing_arkor_costs_little_more_than_sqlalchemy_and_httpx() -> None:
    # Another test may take the processor meanwhile: a second measurement settles it.
    measured = [run("scripts/import_cost.py")]
    if measured[0].returncode:
        measured.append(run("scripts/import_cost.py"))
    assert measured[-1].returncode == 0, [one.stdout + one.stderr for one in measured]
