"""Which installer a project is used with, and what is run for it."""

import os
import sys
import venv
from pathlib import Path

import pytest

from arkor.runner.dependencies import INSTALLERS, detect_installer, install, installer


@pytest.fixture(autouse=True)
def nothing_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV", "POETRY_ACTIVE", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)


def detected(folder: Path) -> str | None:
    found = detect_installer(folder)
    return found and found.name


def test_nobody_installs_into_a_systems_python(tmp_path: Path) -> None:
    assert detect_installer(tmp_path) is None


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("uv.lock", "", "uv"),
        ("poetry.lock", "", "poetry"),
        ("pyproject.toml", "[tool.uv]\n", "uv"),
        ("pyproject.toml", "[tool.poetry.dependencies]\n", "poetry"),
    ],
)
def test_the_project_speaks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, name: str
) -> None:
    other = {"uv": "POETRY_ACTIVE", "poetry": "UV"}[name]
    monkeypatch.setenv(other, "1")
    assert detected(tmp_path) == {"uv": "poetry", "poetry": "uv"}[name]
    (tmp_path / file).write_text(text)
    assert detected(tmp_path) == name


def test_pip_takes_the_projects_environment_then_the_active_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installer("pip", tmp_path).commands[0] == (sys.executable, "-m", "venv", ".venv")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    found = detect_installer(tmp_path)
    assert found is not None
    assert found.commands[0][0] == str(tmp_path / "active" / "bin" / "python")
    assert (found.run, found.own) == ("", False)
    venv.create(tmp_path / ".venv", with_pip=False)
    found = detect_installer(tmp_path)
    assert found is not None
    assert (found.commands[0][0], found.run) == (".venv/bin/python", ".venv/bin/")
    assert str(found) == ".venv/bin/python -m pip install 'arkor[backend]'"


def test_an_environment_of_arkors_own_is_not_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/x/.local/share/pipx/venvs/arkor")
    assert detect_installer(tmp_path) is None
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    found = detect_installer(tmp_path)
    assert found is not None
    assert (found.name, found.own) == ("pip", True)


@pytest.mark.parametrize("name", INSTALLERS)
def test_what_goes_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = install(installer(name, tmp_path), tmp_path)
    assert problem is not None
    assert problem.endswith("cannot be run: No such file or directory")


@pytest.mark.parametrize(("name", "line"), [("uv", "sync"), ("poetry", "install --no-root")])
def test_the_installer_runs_in_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    program = tmp_path / "bin" / name
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$PWD $*" > said\nexit $CODE\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.defpath}")
    monkeypatch.setenv("CODE", "0")
    assert install(installer(name, tmp_path), tmp_path) is None
    assert (tmp_path / "said").read_text().startswith(f"{tmp_path} {line}")
    monkeypatch.setenv("CODE", "3")
    assert (install(installer(name, tmp_path), tmp_path) or "").endswith("failed (exit code 3)")
