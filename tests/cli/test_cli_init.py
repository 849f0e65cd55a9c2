"""`arkor init` and `arkor new`: a project that runs, and never a file overwritten."""

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
from arkor.runner.scaffold import TEMPLATES, project_name

Arkor = Callable[..., CompletedProcess[str]]

COMMON = [
    ".gitignore",
    "AGENTS.md",
    "CLAUDE.md",
    "README.md",
    "data/train.jsonl",
    "pyproject.toml",
    "src/arkor/index.py",
    "src/arkor/trainer.py",
]
FILES = {name: sorted(COMMON + ["data/hard.jsonl"] * (name == "triage")) for name in TEMPLATES}


@pytest.fixture(autouse=True)
def nobody_speaks_for_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUDECODE", raising=False)


@pytest.fixture(autouse=True)
def git_of_somebody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that knows its person and no repository above the test's folder."""
    home.parent.joinpath(".gitconfig").write_text("[user]\nname = Me\nemail = me@example.com\n")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home.parent / ".gitconfig"))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and ".git" not in path.parts
    }


def actions(done: CompletedProcess[str]) -> dict[str, str]:
    """What was done about each file, by its path."""
    return {path: action for action, path in map(str.split, done.stdout.splitlines())}


def git(folder: Path, *arguments: str) -> list[str]:
    return subprocess.run(
        ("git", *arguments), cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("template", FILES)
def test_a_project_is_written_and_loads(here: Arkor, folder: Path, template: str) -> None:
    done = here("init", "-y", "--template", template, "--name", "My Bot!")
    assert done.returncode == 0, done.stderr
    assert actions(done) == dict.fromkeys(FILES[template], "created")
    assert sorted(files(folder)) == FILES[template]
    assert not any(b"{{" in text for text in files(folder).values())

    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-bot"
    assert load_trainer(folder / project["tool"]["arkor"]["entry"]).name == "my-bot"
    rows = (folder / "data" / "train.jsonl").read_text().splitlines()
    assert all(json.loads(row)["messages"][-1]["role"] == "assistant" for row in rows)


def test_triage_is_the_default_and_the_folder_names_it(here: Arkor, folder: Path) -> None:
    assert here("init").returncode == 0
    assert sorted(files(folder)) == FILES["triage"]
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
            screen.write(b"toString\nblank\nmine\ny\n")
            process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(files(folder)) == FILES["blank" if asks else "triage"]
    assert (folder / ".git").exists() == asks


def test_what_is_missing_is_said(here: Arkor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)  # nothing speaks for an installer
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert "pip" not in here("init", "-y").stderr
    monkeypatch.setitem(sys.modules, "torch", None)
    skipped = here("init", "-y", "--skip-install")
    assert "Next:\n  pip install 'arkor[backend]'\n  arkor start" in skipped.stderr


def test_a_second_time_changes_nothing(here: Arkor, folder: Path) -> None:
    here("init", "-y")
    (folder / "src" / "arkor" / "trainer.py").write_text("mine = 1\n")
    before = files(folder)
    done = here("init", "-y", "--template", "blank")
    complete = {".gitignore", "AGENTS.md", "CLAUDE.md", "pyproject.toml"}
    assert actions(done) == {p: "ok" if p in complete else "kept" for p in FILES["blank"]}
    assert files(folder) == before
    assert "already inside a git repository" in done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("*.log", "*.log\n.arkor/\n"),
        ("*.log\n", "*.log\n.arkor/\n"),
        ("*.log\r\n", "*.log\r\n.arkor/\r\n"),
        ("", ".arkor/\n"),
        (".arkor", ".arkor"),
        ("/.arkor/\n", "/.arkor/\n"),
    ],
)
def test_gitignore_is_added_to(here: Arkor, folder: Path, before: str, after: str) -> None:
    (folder / ".gitignore").write_bytes(before.encode())
    done = here("init", "-y")
    assert (folder / ".gitignore").read_bytes().decode() == after
    assert actions(done)[".gitignore"] == ("ok" if before == after else "patched")


def test_a_pyproject_gets_what_it_lacks(here: Arkor, folder: Path) -> None:
    mine = '[project]\nname = "mine"\ndependencies = ["httpx"]\n'
    (folder / "pyproject.toml").write_text(mine)
    done = here("init", "-y")
    assert actions(done)["pyproject.toml"] == "patched"
    table = tomllib.loads((folder / "pyproject.toml").read_text())
    assert table["project"] == {"name": "mine", "dependencies": ["httpx", "arkor[backend]"]}
    assert table["tool"]["arkor"] == {"entry": "src/arkor/index.py"}
    assert load_trainer().name == folder.name


def test_a_broken_pyproject_stops_the_rest(here: Arkor, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[project\n")
    done = here("init", "-y")
    assert done.returncode == 0
    assert done.stderr.count("warning: pyproject.toml: it is no TOML") == 1
    assert not (folder / ".git").exists()
    assert (folder / "pyproject.toml").read_text() == "[project\n"


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


def test_what_it_wrote_is_committed_and_nothing_else(here: Arkor, folder: Path) -> None:
    (folder / ".env").write_text("SECRET=1\n")
    (folder / "README.md").write_text("mine\n")
    assert here("init", "-y").returncode == 0
    assert git(folder, "log", "--format=%s") == ["Initial commit from `arkor init`"]
    assert git(folder, "ls-files") == [path for path in FILES["triage"] if path != "README.md"]


@pytest.mark.parametrize("options", [[], ["--skip-git"], ["-y", "--skip-git"]])
def test_no_repository_is_made_that_nobody_wants(
    here: Arkor, folder: Path, options: list[str]
) -> None:
    assert here("init", *options).returncode == 0
    assert not (folder / ".git").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--git", "--skip-git"], "Pick one of --git / --skip-git, not both"),
        (["--agents-md", "--no-agents-md"], "Pick one of --agents-md / --no-agents-md, not both"),
        (["--use-uv", "--use-pip"], "Pick one of --use-uv, --use-pip and --use-poetry"),
    ],
)
def test_options_that_exclude_each_other(
    here: Arkor, folder: Path, options: list[str], said: str
) -> None:
    done = here("init", "-y", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert files(folder) == {}


def test_a_readme_speaks_of_agents_only_where_their_file_is(here: Arkor, folder: Path) -> None:
    assert here("new", "with", "-y").returncode == 0
    assert here("new", "without", "-y", "--no-agents-md").returncode == 0
    assert "AGENTS.md" in (folder / "with" / "README.md").read_text()
    assert "AGENTS.md" not in (folder / "without" / "README.md").read_text()
    assert not (folder / "without" / "CLAUDE.md").exists()


def test_an_unclear_agents_file_is_left_alone_and_said_once(here: Arkor, folder: Path) -> None:
    mine = "<!-- BEGIN:arkor-agent-rules -->\n"
    (folder / "AGENTS.md").write_text(mine)
    done = here("init", "-y")
    assert (folder / "AGENTS.md").read_text() == mine
    assert actions(done)["AGENTS.md"] == actions(done)["CLAUDE.md"] == "skipped"
    assert done.stderr.count("warning: AGENTS.md: ") == 1


def test_a_coding_agent_must_say_every_choice(
    here: Arkor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    choices = ["--template", "blank", "--skip-git", "--skip-install", "--agents-md"]
    done = here("init")
    assert done.returncode == 2
    for said in ("arkor init: CLAUDECODE=1 detected", "--yes", *choices[::2], "--skip-install"):
        assert said in done.stderr
    assert "--name" not in done.stderr
    assert here("init", *choices[:-1]).returncode == 2
    assert here("init", *choices, "--name", "日本").returncode == 2
    assert here("new", *choices).returncode == 2
    assert files(folder) == {}
    assert here("new", *choices, "--name", "one").returncode == 0
    assert here("init", *choices).returncode == 0
    assert here("init", "-y").returncode == 0


def test_new_makes_a_folder_of_the_projects_name(here: Arkor, folder: Path) -> None:
    done = here("new", "-y", "--name", "My Bot!")
    assert sorted(files(folder / "my-bot")) == FILES["triage"]
    assert "Next:\n  cd my-bot\n" in done.stderr
    again = here("new", "-y", "--name", "My Bot!")
    assert again.returncode == 2
    assert "is there and not empty" in again.stderr
    assert here("new", "my-bot", "-y").returncode == 0
    assert here("new", ".", "-y", "--template", "blank").returncode == 0
    assert (folder / "data" / "train.jsonl").exists()


def test_json_says_what_was_done(here: Arkor, folder: Path) -> None:
    said = json.loads(here("new", "one", "-y", "--template", "blank", "--json").stdout)
    assert said == {
        "folder": str(folder / "one"),
        "name": "one",
        "template": "blank",
        "files": said["files"],
        "installer": "pip",
        "installed": False,  # all is here already
        "committed": True,
        "warnings": [],
        "next": ["cd one", "arkor start --backend local"],
    }
    assert {"path": "pyproject.toml", "action": "created"} in said["files"]


def test_a_failed_install_keeps_the_project_and_commits_nothing(
    here: Arkor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    done = here("init", "-y", "--use-uv")
    assert done.returncode == 0
    assert sorted(files(folder)) == FILES["triage"]
    assert not (folder / ".git").exists()
    assert "warning: /nowhere/uv cannot be run" in done.stderr
    following = done.stderr.partition("Next:\n")[2].splitlines()
    assert following[0] == "  /nowhere/uv sync"
    assert following[1] == "  git init"
    assert following[-1] == "  uv run arkor start --backend local"
    assert "uv run arkor start" in (folder / "README.md").read_text()


def test_a_lock_that_the_installer_wrote_is_committed(
    here: Arkor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = folder.parent / "uv"
    uv.write_text("#!/bin/sh\necho locked > uv.lock\n")
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    assert here("init", "-y").returncode == 0
    assert "uv.lock" in git(folder, "ls-files")
