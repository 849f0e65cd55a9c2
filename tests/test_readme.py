"""The README is true: its programs run, its files exist, and it names every command."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from arkor.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
DATA = ROOT / "scripts" / "recipes" / "data" / "tickets.jsonl"


@pytest.mark.training
@pytest.mark.parametrize("program", PROGRAMS, ids=[f"block{n}" for n, _ in enumerate(PROGRAMS, 1)])
def test_each_python_block_runs(program: str, backend: Any, tmp_path: Path) -> None:
    shutil.copy(DATA, tmp_path / "train.jsonl")
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=backend.environ(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_first_program_is_short() -> None:
    assert len(PROGRAMS[0].splitlines()) <= 20


def test_every_script_is_named_and_every_named_script_exists() -> None:
    named = set(re.findall(r"`(scripts/[\w-]+)`", README))
    verbs = {
        f"scripts/{path.name}"
        for path in (ROOT / "scripts").iterdir()
        if path.is_file() and not path.suffix
    }
    assert named == verbs


def test_every_recipe_is_named_and_every_named_recipe_exists() -> None:
    named = set(re.findall(r"^\| `(\w+\.py)` \|", README, re.M))
    assert named == {path.name for path in (ROOT / "scripts" / "recipes").glob("*.py")}


def test_every_command_is_named() -> None:
    commands = typer.main.get_group(app).commands
    assert [each for each in sorted(commands) if f"`arkor {each}" not in README] == []


def test_every_promise_is_shown_by_a_test_that_exists() -> None:
    rows = re.findall(r"^\| (P\d+) \| .+? \| (.+) \|$", README, re.M)
    assert [name for name, _ in rows] == [f"P{n}" for n in range(1, 13)]
    for name, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert named, name
        assert [test for file, test in named if test not in functions_in(ROOT / file)] == [], name


def functions_in(file: Path) -> set[str]:
    """The names of the test functions in a file, which is not imported."""
    body = ast.parse(file.read_text()).body if file.exists() else []
    return {each.name for each in body if isinstance(each, ast.FunctionDef)}


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert [each for each in targets if not (ROOT / each).exists()] == []
