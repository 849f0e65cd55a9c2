"""The real command, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arkor.cli.main import app

ROOT = Path(__file__).parents[2]

Arkor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    """The environment of the command: an empty home, and one thread for torch."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to run the command in."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def arkor(environ: dict[str, str], folder: Path) -> Arkor:
    """Run `arkor ARGUMENTS...` in `folder`; keywords add to its environment."""

    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "arkor", *arguments],
            cwd=folder,
            env=environ | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    return run


@pytest.fixture
def here(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Arkor:
    """Run `arkor ARGUMENTS...` in `folder`, in this process: quicker, for what only reads."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = CliRunner().invoke(app, arguments, prog_name="arkor", env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(
            ["arkor", *arguments], done.exit_code, done.stdout, done.stderr
        )

    return run
