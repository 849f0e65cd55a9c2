"""The first commit: what is in it, and what is said when git will not."""

import subprocess
from pathlib import Path

import pytest

from arkor.runner.repository import first_commit, is_in_repository


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files, and a git that knows its person and nothing else."""
    for name in ("GIT_DIR", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\nname = Me\nemail = me@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("ours", "theirs"):
        (folder / name).write_text(name)
    return folder


def set_git(folder: Path, lines: str) -> None:
    with (folder.parent / "gitconfig").open("a") as file:
        file.write(lines)


def git(folder: Path, *arguments: str) -> list[str]:
    return subprocess.run(
        ("git", *arguments), cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_only_what_is_named_is_committed(folder: Path) -> None:
    assert not is_in_repository(folder / "not" / "there")
    done = first_commit(folder, ["ours"], command="init")
    assert (done.done, done.warning) == (True, None)
    assert git(folder, "ls-files") == ["ours"]
    assert git(folder, "log", "--format=%s") == ["Initial commit from `arkor init`"]
    assert is_in_repository(folder / "not" / "there")


def test_what_the_persons_git_ignores_is_left_out(folder: Path) -> None:
    (folder.parent / "ignored").write_text("theirs\n")
    set_git(folder, f"[core]\nexcludesFile = {folder.parent / 'ignored'}\n")
    assert first_commit(folder, ["ours", "theirs"], command="init").done
    assert git(folder, "ls-files") == ["ours"]


def test_a_signature_that_cannot_be_made_is_left_out_and_said(folder: Path) -> None:
    set_git(folder, "[commit]\ngpgSign = true\n[gpg]\nprogram = /bin/false\n")
    done = first_commit(folder, ["ours"], command="init")
    assert done.done
    assert done.warning is not None
    assert "not signed" in done.warning
    assert git(folder, "log", "--format=%s") == ["Initial commit from `arkor init`"]


def test_a_hook_that_refuses_is_only_said(folder: Path) -> None:
    hook = folder.parent / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    set_git(folder, f"[core]\nhooksPath = {hook.parent}\n")
    done = first_commit(folder, ["ours"], command="init")
    assert (done.done, done.warning) == (False, "nothing is committed: not today")


def test_without_git_it_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not is_in_repository(folder)
    done = first_commit(folder, ["ours"], command="init")
    assert done.warning == "nothing is committed: git cannot be run: No such file or directory"
