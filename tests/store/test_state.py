"""Which project a directory belongs to."""

import json
import os
from pathlib import Path

import pytest

from arkor.errors import ConfigError
from arkor.store.paths import journal_path
from arkor.store.state import (
    ProjectState,
    delete_state,
    project_root,
    read_state,
    state_path,
    write_state,
)

STATE = ProjectState("org", "project", "p-1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src" / "arkor").mkdir(parents=True)
    (folder / "src" / "arkor" / "index.py").touch()
    return folder


def test_a_root_is_the_nearest_folder_with_a_table_or_an_entry(
    project: Path, tmp_path: Path
) -> None:
    assert project_root(project / "src" / "arkor") == project
    inner = project / "inner" / "deep"
    inner.mkdir(parents=True)
    assert project_root(inner) == project
    (project / "inner" / "pyproject.toml").write_text("[tool.other]\n")
    assert project_root(inner) == project
    (project / "inner" / "pyproject.toml").write_text("[tool.arkor]\n")
    assert project_root(inner) == project / "inner"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert project_root(elsewhere) == elsewhere


def test_the_current_folder_is_the_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "src")
    assert project_root() == project


def test_a_broken_pyproject_is_named_only_if_it_is_ours(project: Path) -> None:
    file = project / "src" / "pyproject.toml"
    file.write_text("[tool.other\n")
    assert project_root(project / "src") == project
    file.write_text("[tool.arkor\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        project_root(project / "src")


def test_a_pyproject_that_cannot_be_read_is_named(project: Path) -> None:
    file = project / "src" / "pyproject.toml"
    file.write_text("[tool.arkor]\n")
    file.chmod(0)
    if os.geteuid() == 0:  # whom no mode stops
        file = project / "src" / ("a" * 300)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        project_root(file if file.name.startswith("a") else file.parent)
    assert str(file) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_what_was_written_is_read_from_anywhere_in_the_project(home: Path, project: Path) -> None:
    assert read_state(project) is None
    assert not home.exists()
    write_state(STATE, project)
    assert read_state(project / "src" / "arkor") == STATE
    assert read_state(home.parent) is None
    assert state_path(project) == journal_path(home)
    write_state(ProjectState("org", "other", "p-2"), project)
    assert read_state(project) == ProjectState("org", "other", "p-2")
    assert delete_state(project) is True
    assert delete_state(project) is False
    assert read_state(project) is None


def test_a_typescript_file_is_read_and_left_as_it_is(home: Path, project: Path) -> None:
    file = project / ".arkor" / "state.json"
    file.parent.mkdir()
    text = json.dumps({"orgSlug": "o", "projectSlug": "p", "projectId": "i", "more": 1})
    file.write_text(text)
    assert read_state(project) == ProjectState("o", "p", "i")
    assert state_path(project) == file
    write_state(STATE, project)
    assert read_state(project) == STATE
    assert state_path(project) == journal_path(home)
    assert file.read_text() == text


@pytest.mark.parametrize("text", ["", "[]", '{"orgSlug":"o"}', '{"orgSlug":1,"projectSlug":"p"}'])
def test_a_typescript_file_without_all_three_counts_as_none(
    home: Path, project: Path, text: str
) -> None:
    (project / ".arkor").mkdir()
    (project / ".arkor" / "state.json").write_text(text)
    assert read_state(project) is None
