"""`arkor init`: a project that runs, and never a file overwritten."""

import json
import os
import pty
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from arkor.runner.project import load_trainer
from arkor.runner.scaffold import project_name

Arkor = Callable[..., CompletedProcess[str]]

FILES = {
    "triage": [
        ".gitignore",
        "README.md",
        "data/hard.jsonl",
        "data/train.jsonl",
        "pyproject.toml",
        "src/arkor/index.py",
        "src/arkor/trainer.py",
    ],
    "blank": [
        ".gitignore",
        "README.md",
        "data/train.jsonl",
        "pyproject.toml",
        "src/arkor/index.py",
        "src/arkor/trainer.py",
    ],
}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("template", FILES)
def test_a_project_is_written_and_loads(here: Arkor, folder: Path, template: str) -> None:
    done = here("init", "-y", "--template", template, "--name", "My Bot!")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"created  {path}" for path in FILES[template]]
    assert list(files(folder)) == FILES[template]
    assert not any(b"{{" in text for text in files(folder).values())

    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-bot"
    assert load_trainer(folder / project["tool"]["arkor"]["entry"]).name == "my-bot"
    rows = (folder / "data" / "train.jsonl").read_text().splitlines()
    assert all(json.loads(row)["messages"][-1]["role"] == "assistant" for row in rows)


def test_triage_is_the_default_and_the_folder_names_it(here: Arkor, folder: Path) -> None:
    assert here("init").returncode == 0
    assert list(files(folder)) == FILES["triage"]
    assert load_trainer().name == folder.name


@pytest.mark.parametrize(("arguments", "asks"), [(["init"], True), (["--no-input", "init"], False)])
def test_on_a_terminal_it_asks_unless_it_must_not(
    environ: dict[str, str], folder: Path, arguments: list[str], asks: bool
) -> None:
    environ.pop("CI", None)
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "arkor", *arguments],
        cwd=folder,
        env=environ,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(terminal)
        with os.fdopen(main, "r+b", buffering=0) as screen:
            screen.write(b"blank\nmine\n")
            process.communicate(timeout=60)
    assert process.returncode == 0
    assert list(files(folder)) == FILES["blank" if asks else "triage"]


def test_what_is_missing_is_said(here: Arkor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pip" not in here("init", "-y").stderr
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "Next: pip install 'arkor[backend]', then arkor start" in here("init", "-y").stderr


def test_a_second_time_changes_nothing(here: Arkor, folder: Path) -> None:
    here("init", "-y")
    (folder / "src" / "arkor" / "trainer.py").write_text("mine = 1\n")
    before = files(folder)
    done = here("init", "-y", "--template", "blank")
    assert done.stdout.splitlines() == [f"kept     {path}" for path in FILES["blank"]]
    assert files(folder) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("*.log", "*.log\n.arkor/\n"),
        ("*.log\n", "*.log\n.arkor/\n"),
        ("", ".arkor/\n"),
        (".arkor", ".arkor"),
        ("/.arkor/\n", "/.arkor/\n"),
    ],
)
def test_gitignore_is_added_to(here: Arkor, folder: Path, before: str, after: str) -> None:
    (folder / ".gitignore").write_text(before)
    done = here("init", "-y")
    assert (folder / ".gitignore").read_text() == after
    assert f"{'kept' if before == after else 'patched':<8} .gitignore" in done.stdout


def test_a_pyproject_is_kept_and_what_it_lacks_is_said(here: Arkor, folder: Path) -> None:
    mine = '[project]\nname = "mine"\nversion = "1"\n'
    (folder / "pyproject.toml").write_text(mine)
    done = here("init", "-y")
    assert (folder / "pyproject.toml").read_text() == mine
    assert '[tool.arkor]\nentry = "src/arkor/index.py"' in done.stderr
    assert load_trainer().name == folder.name  # the default entry needs no setting


def test_an_unknown_template_is_refused_before_anything_is_written(
    here: Arkor, folder: Path
) -> None:
    done = here("init", "--template", "toString")
    assert done.returncode == 2
    assert 'Unknown template "toString"' in done.stderr
    assert files(folder) == {}


def test_a_file_in_the_way_of_a_folder_is_said(here: Arkor, folder: Path) -> None:
    (folder / "src").write_text("")
    done = here("init", "-y")
    assert done.returncode == 4
    assert str(folder / "src") in done.stderr
    assert (folder / "src").read_text() == ""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("My Bot!", "my-bot"),
        ("--a__b--", "a-b"),
        ("日本", "arkor-project"),
        ("x" * 90, "x" * 60),
        ("", "arkor-project"),
    ],
)
def test_a_projects_name_is_made_safe(given: str, name: str) -> None:
    assert project_name(given) == name
