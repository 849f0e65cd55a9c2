"""What the journal keeps of code and machine: enough to compare, and no secret."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arkor.runner.provenance import EntrySource, current_entry, describe, loading

ROOT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_an_entry_is_described_relative_to_its_project(tmp_path: Path) -> None:
    source = EntrySource(tmp_path / "src" / "index.py", tmp_path)
    source.digests["src/index.py"] = "00"
    said = describe(source)
    assert said["entry"] == "src/index.py"
    assert said["project_root"] == str(tmp_path)
    assert said["digests"] == {"src/index.py": "00"}
    assert said["artifact_sha256"] is None
    assert said["pid"] == os.getpid()
    assert said["git"] is None
    assert json.loads(json.dumps(said)) == said


def test_the_entry_being_loaded_is_known_only_meanwhile(tmp_path: Path) -> None:
    source = EntrySource(tmp_path / "index.py", tmp_path)
    assert current_entry() is None
    with loading(source):
        assert current_entry() is source
    assert current_entry() is None


def test_the_commit_and_uncommitted_changes_are_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    source = EntrySource(tmp_path / "index.py", tmp_path)
    assert describe(source)["git"] == {"commit": None, "dirty": False}

    (tmp_path / "index.py").write_text("a = 1\n")
    git(tmp_path, "add", "index.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert describe(source)["git"] == {"commit": commit, "dirty": False}

    (tmp_path / "index.py").write_text("a = 2\n")
    assert describe(source)["git"] == {"commit": commit, "dirty": True}


def test_a_machine_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe(EntrySource(tmp_path / "index.py", tmp_path))["git"] is None


def test_a_git_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe(EntrySource(tmp_path / "index.py", tmp_path))["git"] is None


def test_a_script_is_described_by_the_project_modules_it_imported(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.arkor]\n")
    (tmp_path / "settings_of_it.py").write_text("x = 1\n")
    (installed := tmp_path / "venv" / "site-packages").mkdir(parents=True)
    (installed / "foreign_thing.py").touch()
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        f"sys.path[1:1] = [{str(ROOT)!r}, {str(installed)!r}]\n"
        "import json, foreign_thing, settings_of_it\n"
        "from arkor.runner.provenance import describe\n"
        "print(json.dumps(describe(None)))\n"
    )
    shown = subprocess.run(
        [sys.executable, str(script), "--token", "sesame-open"],
        env=os.environ | {"SOME_KEY": "hunter2"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    said = json.loads(shown)
    assert said["entry"] is None
    assert said["script"] == "train.py"
    assert said["digests"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "settings_of_it.py", script)
    }
    assert "sesame" not in shown
    assert "hunter2" not in shown
