"""`arkor systemd install` and `arkor cron`; a nightly run under a service manager's eyes."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.store.journal import open_journal
from arkor.testing import ScriptedBackend

Arkor = Callable[..., CompletedProcess[str]]

ENTRY = """
from arkor import HuggingfaceDataset, create_trainer

trainer = create_trainer(name="cli", model="m", dataset=HuggingfaceDataset("d"), max_steps=10)
"""
EVENTS = [
    {"type": "training.started", "metadata": {"totalSteps": 10}},
    {"type": "training.log", "step": 5, "loss": 0.5},
    {"type": "training.completed", "artifacts": []},
]


@pytest.fixture
def units(home: Path) -> Path:
    return home.parent / ".config" / "systemd" / "user"


@pytest.fixture
def project(folder: Path) -> Path:
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(ENTRY)
    return folder


def test_a_service_and_its_timer_are_written(here: Arkor, folder: Path, units: Path) -> None:
    done = here("systemd", "install", "--backend", "local")
    assert done.returncode == 0
    files = [units / "arkor-project.service", units / "arkor-project.timer"]
    assert done.stdout.splitlines() == [str(file) for file in files]
    assert "systemctl --user enable --now arkor-project.timer" in done.stderr
    service, timer = (file.read_text() for file in files)
    assert (
        f"ExecStart={sys.executable} -m arkor --no-input start "
        "--run-key nightly-%%Y-%%m-%%d --backend local\n"
    ) in service
    assert "OnCalendar=*-*-* 02:00\n" in timer
    assert here("systemd", "install", "--backend", "local").returncode == 0  # nothing new


def test_systemd_accepts_what_is_written(here: Arkor, folder: Path, units: Path, need: Any) -> None:
    need(shutil.which("systemd-analyze"), "systemd-analyze(1): apt-get install systemd")
    assert here("systemd", "install").returncode == 0
    command = ["systemd-analyze", "verify", "--man=no", str(units / "arkor-project.timer")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "arkor-project" not in done.stderr


def test_to_print_is_to_write_nothing(here: Arkor, folder: Path, units: Path) -> None:
    done = here("systemd", "install", "--print", "--calendar", "Mon *-*-* 03:30")
    assert "# arkor-project.timer" in done.stdout
    assert "OnCalendar=Mon *-*-* 03:30" in done.stdout
    assert not units.exists()


def test_a_time_that_systemd_does_not_know(
    here: Arkor, folder: Path, units: Path, need: Any
) -> None:
    need(shutil.which("systemd-analyze"), "systemd-analyze(1): apt-get install systemd")
    done = here("systemd", "install", "--calendar", "every full moon")
    assert done.returncode == 2
    assert "--calendar 'every full moon'" in done.stderr
    assert not units.exists()


def test_a_unit_that_says_something_else_stays(here: Arkor, folder: Path, units: Path) -> None:
    units.mkdir(parents=True)
    (units / "arkor-project.timer").write_text("mine")
    done = here("systemd", "install")
    assert (done.returncode, done.stdout) == (1, "")
    assert [file.name for file in units.iterdir()] == ["arkor-project.timer"]
    assert here("systemd", "install", "--force").returncode == 0
    assert "OnCalendar" in (units / "arkor-project.timer").read_text()


def test_without_a_timer_only_a_run_key_starts_with_the_machine(here: Arkor, folder: Path) -> None:
    without = here("systemd", "install", "--print", "--no-timer").stdout
    assert "start --resume\n" in without
    assert "[Install]" not in without
    keyed = here("systemd", "install", "--print", "--no-timer", "--run-key", "once").stdout
    assert "start --run-key once\n" in keyed
    assert "WantedBy=default.target\n" in keyed


def test_a_unit_of_the_system_has_its_user(here: Arkor, folder: Path) -> None:
    done = here("systemd", "install", "--print", "--system", "--run-as", "ada")
    assert "User=ada\n" in done.stdout
    assert here("systemd", "install", "--print", "--run-as", "ada").returncode == 2


def test_a_token_is_not_written(here: Arkor, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_TOKEN", "a-token-of-this-test-0123")
    for command in (["systemd", "install", "--print"], ["cron"]):
        done = here(*command)
        assert "a-token-of-this" not in done.stdout + done.stderr
        assert "ARKOR_TOKEN is a secret and is not written; put it into" in done.stderr


@pytest.mark.parametrize("command", [["systemd", "install", "--print"], ["cron"]])
def test_an_entry_must_be_there(command: list[str], here: Arkor, folder: Path) -> None:
    done = here(*command, "none.py")
    assert (done.returncode, done.stdout) == (2, "")
    (folder / "train.py").touch()
    assert f"start {folder / 'train.py'} --run-key" in here(*command, "train.py").stdout


def test_a_line_is_put_into_the_crontab_in_place_of_the_last(
    arkor: Arkor, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "table").write_text("# mine\n1 1 * * * true\n")
    tool = tmp_path / "bin" / "crontab"
    tool.parent.mkdir()
    table = tmp_path / "table"
    tool.write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then cat {table}; else cat > {table}; fi\n')
    tool.chmod(0o700)
    path = f"{tool.parent}:{os.environ['PATH']}"
    for schedule in ("0 2 * * *", "30 3 * * 1"):
        done = arkor("cron", "--install", "--schedule", schedule, PATH=path)
        assert done.returncode == 0, done.stderr
    lines = table.read_text().splitlines()
    assert lines[:3] == ["# mine", "1 1 * * * true", "# arkor-project, by `arkor cron`"]
    assert len(lines) == 4
    assert lines[3].startswith("30 3 * * 1 cd ")


def test_without_crontab_one_is_told(arkor: Arkor, folder: Path, tmp_path: Path) -> None:
    done = arkor("cron", "--install", PATH=str(tmp_path))
    assert done.returncode == 4
    assert "crontab is not installed" in done.stderr


def test_a_nightly_run_tells_the_service_manager_how_it_goes(
    arkor: Arkor, project: Path, home: Path, tmp_path: Path
) -> None:
    nightly = ["start", "--run-key", "nightly-%Y-%m-%d", "--backend"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        days = {f"nightly-{datetime.now().astimezone():%Y-%m-%d}"}
        with ScriptedBackend(EVENTS) as backend:
            door = str(tmp_path / "notify")
            assert arkor(*nightly, backend.url, NOTIFY_SOCKET=door).returncode == 0
            days.add(f"nightly-{datetime.now().astimezone():%Y-%m-%d}")
            assert {run.run_key for run in open_journal(home).runs()} <= days
        said = [manager.recv(4096).decode().split("\n")]
        while said[-1] != ["STOPPING=1"]:
            said.append(manager.recv(4096).decode().split("\n"))
    assert said[0] == ["WATCHDOG=1", "STATUS=starting"]
    assert [each[0] for each in said].count("READY=1") == 1
