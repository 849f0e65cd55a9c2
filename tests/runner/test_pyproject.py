"""What a `pyproject.toml` lacks is added, as text, and read back before it is believed."""

import tomllib
from typing import Any

import pytest

from arkor.runner.pyproject import completed

SETTINGS = '\n[tool.arkor]\nentry = "src/arkor/index.py"\n'


def dependencies(text: str) -> Any:
    return tomllib.loads(text.removeprefix("\ufeff"))["project"]["dependencies"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dependencies = []\n", 'dependencies = [ "arkor[backend]"]\n'),
        ('dependencies = ["a"]\n', 'dependencies = ["a", "arkor[backend]"]\n'),
        ('dependencies = ["a[x]>1", "b"]\n', 'dependencies = ["a[x]>1", "b", "arkor[backend]"]\n'),
        (
            'dependencies = [\n  "a", # why\n  "b[x]",\n]\n',
            'dependencies = [\n  "a", # why\n  "b[x]",\n  "arkor[backend]",\n]\n',
        ),
        ('name = "x"\n', 'dependencies = ["arkor[backend]"]\nname = "x"\n'),
    ],
)
def test_the_requirement_is_added(before: str, after: str) -> None:
    text, lacking = completed(f"[project]\n{before}")
    assert lacking == []
    assert "arkor[backend]" in dependencies(text)
    assert text.replace("[ ", "[") == f"[project]\n{after}{SETTINGS}".replace("[ ", "[")
    assert completed(text) == (text, [])


@pytest.mark.parametrize("item", ["arkor", "Arkor>=1", "arkor[backend] ; python_version>'3'"])
def test_one_that_is_there_is_enough(item: str) -> None:
    mine = f'[project]\ndependencies = ["{item}"]\n'
    assert completed(mine) == (mine + SETTINGS, [])


def test_another_package_of_a_similar_name_is_not() -> None:
    text, _ = completed('[project]\ndependencies = ["arkor-extras"]\n')
    assert dependencies(text) == ["arkor-extras", "arkor[backend]"]


def test_poetrys_own_table_is_added_to() -> None:
    text, lacking = completed('[tool.poetry.dependencies]\npython = ">=3.11"\n')
    assert lacking == []
    table = tomllib.loads(text)["tool"]["poetry"]["dependencies"]
    assert table == {"python": ">=3.11", "arkor": {"version": "*", "extras": ["backend"]}}


def test_line_ends_and_the_mark_stay() -> None:
    text, _ = completed('\ufeff[project]\r\ndependencies = [\r\n    "a",\r\n]\r\n')
    assert text.startswith("\ufeff[project]\r\n")
    assert text.count("\n") == text.count("\r\n")
    assert dependencies(text) == ["a", "arkor[backend]"]


@pytest.mark.parametrize(
    "mine",
    [
        "[tool.ruff]\nline-length = 90\n",
        '[project]\ndynamic = ["dependencies"]\n',
        'project = { name = "x" }\n',
        '[project]\ndependencies = ["a" # no comma\n]\n',
    ],
)
def test_what_cannot_be_added_is_said(mine: str) -> None:
    text, lacking = completed(mine)
    assert lacking == ['"arkor[backend]" among its dependencies']
    assert text == mine + SETTINGS


def test_an_inline_tool_table_is_left_alone() -> None:
    mine = 'tool = { ruff = { line-length = 90 } }\n[project]\ndependencies = ["arkor"]\n'
    assert completed(mine) == (mine, ['[tool.arkor], entry = "src/arkor/index.py"'])


def test_settings_that_are_there_stay() -> None:
    mine = '[project]\ndependencies = ["arkor"]\n[tool.arkor]\nbackend = "local"\n'
    assert completed(mine) == (mine, [])
