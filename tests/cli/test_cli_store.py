"""`arkor prune` and `arkor store`: the journal kept small, copied, checked and salvaged."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cli_runs import stream, write_run

from arkor.core.notes import CallbackCompleted, entry_of
from arkor.store.journal import open_journal
from arkor.store.runs import index_of
from arkor.store.writer import open_writer

Arkor = Callable[..., CompletedProcess[str]]

TOKEN = "arkor-secret-token-0123456789"


def settled(home: Path, root: Path, name: str) -> str:
    """A run of five records that has ended, and whose only consumer has finished it."""
    events = (stream("training.log", step=1, loss=0.5), stream("training.completed", artifacts=[]))
    run_id = write_run(home, root, name, *events, entry_of(CallbackCompleted("main", 4)))
    state = open_journal(home).run(run_id)
    assert state.settled
    writer = open_writer(home)
    writer.append(run_id, [], epoch=1, durable=True, index=index_of(state))
    writer.release(run_id, 1)
    return run_id


def test_old_runs_are_archived_and_removed(here: Arkor, home: Path, folder: Path) -> None:
    runs = [settled(home, folder, f"run {n}") for n in range(3)]
    under_way = write_run(home, folder, "under way")
    (folder / "archive").mkdir()
    options = ("prune", "--older-than", "0s", "--keep-last", "2")
    refused = here(*options)
    assert (refused.returncode, "--no-archive" in refused.stderr) == (2, True)
    planned = json.loads(here(*options, "--dry-run", "--json").stdout)
    assert [(each["runId"], each["pruned"]) for each in planned] == [
        (run, False) for run in runs[:2]
    ]
    done = here(*options, "--archive", "archive", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert (first["runId"], first["records"], first["pruned"]) == (runs[0], 5, True)
    assert Path(second["archive"]).parent == folder / "archive"
    assert "no run is old enough" in here(*options, "--archive", "archive").stderr
    shown = here("show", runs[0])
    assert (shown.returncode, "arkor import" in shown.stderr) == (1, True)
    assert here("import", first["archive"]).returncode == 0
    assert here("show", runs[0]).returncode == 0
    assert here("show", under_way).returncode == 0
    assert here("prune", "--older-than", "soon", "--dry-run").returncode == 2


def test_the_journal_is_where_it_is_said_to_be(here: Arkor, home: Path, folder: Path) -> None:
    assert here("store", "path").stdout == f"{home / 'arkor.db'}\n"
    assert not home.exists()
    for command in ("upgrade", "check", "compact"):
        done = here("store", command)
        assert (done.returncode, "no journal" in done.stderr) == (4, True), done.stderr
    settled(home, folder, "run")
    assert "up to date" in here("store", "upgrade").stderr
    assert "in order" in here("store", "check").stderr
    assert "bytes" in here("store", "compact").stderr


def test_a_backup_is_a_journal_without_a_token(here: Arkor, home: Path, folder: Path) -> None:
    run_id = settled(home, folder, "run")
    (home / "credentials.json").write_text(json.dumps({"mode": "anon", "token": TOKEN}))
    assert here("store", "backup", "copy.db").returncode == 0
    assert TOKEN.encode() not in (folder / "copy.db").read_bytes()
    assert (
        json.loads(here("--journal", "copy.db", "show", run_id, "--json").stdout)["name"] == "run"
    )
    assert here("--journal", "copy.db", "store", "check").returncode == 0
    assert here("store", "backup", "none/copy.db").returncode == 2


@pytest.fixture
def damaged(home: Path, folder: Path) -> Path:
    settled(home, folder, "run")
    writer = open_writer(home)
    writer.close()
    return writer.path


def test_a_row_that_differs_from_its_log_is_found_and_repaired(
    here: Arkor, home: Path, damaged: Path
) -> None:
    with sqlite3.connect(damaged) as connection:
        connection.execute("UPDATE runs SET settled = 0, name = 'other'")
    connection.close()
    found = json.loads(here("store", "check", "--json").stdout)
    assert [(each["subject"], each["repaired"]) for each in found] == [("index", False)] * 2
    assert "name is 'other'" in found[0]["problem"]
    assert "settled is False" in found[1]["problem"]
    assert here("store", "check").returncode == 1
    assert here("store", "check", "--repair-index").returncode == 0
    assert here("store", "check").returncode == 0
    assert open_journal(home).runs()[0].name == "run"


def test_a_damaged_journal_names_the_way_out_which_works(
    here: Arkor, home: Path, folder: Path, damaged: Path
) -> None:
    with damaged.open("r+b") as file:
        file.write(b"\0" * 4096)
    broken = damaged.read_bytes()
    shown = here("runs")
    assert (shown.returncode, "arkor store salvage" in shown.stderr) == (4, True)
    assert here("store", "check").returncode == 1
    saved = here("store", "salvage", "-o", "saved.db", "--json")
    report = json.loads(saved.stdout)
    assert [(run["records"], run["unproven"]) for run in report["runs"]] == [(5, [])]
    assert damaged.read_bytes() == broken
    assert here("--journal", "saved.db", "verify", "--all").returncode == 0
    again = here("store", "salvage", "-o", "saved.db")
    assert (again.returncode, "there already" in again.stderr) == (2, True)
