"""What holds for every command: sentences on stderr, exit codes, help, a light start."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import typer

from arkor.cli.main import app
from arkor.runner.wording import clean

Arkor = Callable[..., CompletedProcess[str]]

COMMANDS = sorted(typer.main.get_group(app).commands)


def assert_one_sentence(done: CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for word in words:
        assert word in errors[0]


def test_the_version(arkor: Arkor) -> None:
    done = arkor("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("arkor ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(here: Arkor, command: str) -> None:
    done = here(command, "--help")
    assert done.returncode == 0
    assert f"Usage: arkor {command}" in done.stdout


def test_the_help_names_every_command(here: Arkor) -> None:
    assert [each for each in COMMANDS if f" {each} " not in here("--help").stdout] == []


@pytest.mark.parametrize(
    "arguments",
    [["start", "--bogus"], ["strat"], ["runs", "--limit", "x"], ["show"], ["backend", "fly"]],
)
def test_wrong_usage_exits_2(here: Arkor, arguments: list[str]) -> None:
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: arkor" in done.stderr


def test_colours_only_where_they_are_wanted(arkor: Arkor) -> None:
    assert "\x1b" not in arkor("--help", NO_COLOR="1").stdout


def test_debug_shows_the_traceback(arkor: Arkor) -> None:
    assert "Traceback" in arkor("--debug", "start").stderr


def test_what_was_mended_is_a_note_and_no_warning_of_pythons(
    arkor: Arkor, folder: Path, home: Path
) -> None:
    (folder / "entry.py").write_text(
        "import warnings\nfrom arkor import HuggingfaceDataset, create_trainer\n"
        'warnings.warn("from the entry")\n'
        'trainer = create_trainer(name="n", model="m", dataset=HuggingfaceDataset("d"))\n'
    )
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    done = arkor("start", "entry.py", "--detach", "--backend", "http://127.0.0.1:1")
    assert f"warning: {home} could be entered by others" in done.stderr.splitlines()[-2]
    assert "entry.py:3: UserWarning: from the entry" in done.stderr


def test_a_damaged_journal(here: Arkor, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "arkor.db").write_bytes(b"this is no database, and never was one" * 100)
    assert_one_sentence(here("runs"), 4, "arkor.db")


def test_a_wrong_setting(here: Arkor, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.arkor]\nbackendd = "local"\n')
    assert_one_sentence(here("runs"), 2, "pyproject.toml", "backendd")


def test_a_reader_that_goes_away_is_no_error(environ: dict[str, str], folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "arkor", "runs", "--json"],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_behind_stdout_is_said(
    environ: dict[str, str], folder: Path, need: Callable[..., None]
) -> None:
    need(Path("/dev/full").exists(), "/dev/full: run it on Linux")
    with Path("/dev/full").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "arkor", "runs", "--json"],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], {"httpx", "sqlalchemy", "asyncio", "rich"}),
        (["--help"], {"httpx", "sqlalchemy"}),
        (["start", "--help"], {"httpx", "sqlalchemy"}),
        (["runs"], {"httpx"}),
    ],
)
def test_a_light_command_starts_light(
    environ: dict[str, str], folder: Path, arguments: list[str], absent: set[str]
) -> None:
    code = (
        "import sys; from arkor.cli.main import app; "
        f"app({arguments!r}, standalone_mode=False); print();"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"alembic", "starlette", "torch", "transformers", "uvicorn"}
    assert not (heavy | absent) & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["strat"], "start"),
        (["store", "salvge"], "salvage"),
        (["start", "--run-kay", "x"], "--run-key"),
        (["runs", "--status", "complted"], "completed"),
    ],
)
def test_a_typo_is_answered_with_what_was_meant(
    here: Arkor, home: Path, arguments: list[str], meant: str
) -> None:
    done = here(*arguments)
    assert done.stdout == ""
    assert meant in done.stderr


def test_text_from_elsewhere_cannot_steer_the_terminal() -> None:
    hostile = "a\x1b[2Jb\r\nc\u202ed\x9be"
    assert clean(hostile) == r"a\x1b[2Jb\r\nc\u202ed\x9be"
    assert clean("plain ünïcode ✓ 日本") == "plain ünïcode ✓ 日本"
