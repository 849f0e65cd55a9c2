"""`arkor --journal FILE`: another journal than one's own, named on the command line."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cli_runs import stream, write_run

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture
def copy(home: Path, folder: Path, tmp_path: Path) -> tuple[Path, str]:
    """A copied journal, and the run in it. The user's own has another run."""
    run_id = write_run(home, folder, "theirs", stream("training.started"))
    file = tmp_path / "a copy #1" / "their journal.db"
    file.parent.mkdir()
    with sqlite3.connect(home / "arkor.db") as source, sqlite3.connect(file) as target:
        source.backup(target)
    target.close()
    source.close()
    write_run(home, folder, "ours")
    return file, run_id


def test_a_command_reads_the_journal_it_is_told(here: Arkor, copy: tuple[Path, str]) -> None:
    file, run_id = copy
    listed = json.loads(here("--journal", str(file), "runs", "--json").stdout)
    assert [row["runId"] for row in listed] == [run_id]
    assert json.loads(here("--journal", str(file), "show", "@last", "--json").stdout)["name"] == (
        "theirs"
    )
    assert here("--journal", os.path.relpath(file), "events", run_id).returncode == 0
    assert json.loads(here("show", "@last", "--json").stdout)["name"] == "ours"
    assert "ARKOR_JOURNAL_URL" not in os.environ


def test_it_wins_over_the_environment(
    here: Arkor, copy: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_JOURNAL_URL", "sqlite:////nowhere/arkor.db")
    assert len(json.loads(here("--journal", str(copy[0]), "runs", "--json").stdout)) == 1
    assert os.environ["ARKOR_JOURNAL_URL"] == "sqlite:////nowhere/arkor.db"


@pytest.mark.parametrize("command", [("runs",), ("show", "@last"), ("events", "@last")])
def test_a_file_that_is_not_there_is_no_empty_journal(
    here: Arkor, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = here("--journal", str(tmp_path / "nothing.db"), *command)
    assert done.returncode == 2
    assert done.stderr == f"error: there is no journal {tmp_path / 'nothing.db'}; see --journal\n"
    assert not (tmp_path / "nothing.db").exists()


def test_a_folder_is_no_journal(here: Arkor, tmp_path: Path) -> None:
    done = here("--journal", str(tmp_path), "runs")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "is a folder" in done.stderr


def test_an_empty_file_is_no_empty_journal(here: Arkor, home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    for command in (("runs",), ("verify", "--all"), ("store", "check")):
        done = here("--journal", str(tmp_path / "empty.db"), *command)
        assert done.returncode == 2
        assert "is an empty file" in done.stderr
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "arkor.db").touch()
    done = here("verify", "--all")
    assert done.returncode == 4
    assert "arkor.db is an empty file: whatever it held is gone" in done.stderr
    done = here("store", "check")
    assert done.returncode == 1
    assert "the file is empty" in done.stdout
