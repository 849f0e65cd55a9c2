"""Units as systemd itself reads them, and a crontab's line as a shell does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor.errors import ConfigError
from arkor.runner.nightly import NIGHTLY
from arkor.runner.units import Task, cron_line, kept_settings, service_unit, timer_unit, unit_folder

ODD = 'a "folder" $HOME 100% \\n'


def task(tmp_path: Path, *arguments: str, **given: Any) -> Task:
    root = tmp_path / ODD
    root.mkdir(exist_ok=True)
    return Task(root, arguments, tmp_path / "50% secrets", **given)


@pytest.mark.parametrize("user", [None, "root"])
def test_systemd_accepts_the_units(user: str | None, tmp_path: Path, need: Any) -> None:
    need(shutil.which("systemd-analyze"), "systemd-analyze(1): apt-get install systemd")
    given = task(tmp_path, ODD, "--run-key", NIGHTLY, name="arkor-odd", user=user)
    (tmp_path / "arkor-odd.service").write_text(service_unit(given, at_boot=True))
    (tmp_path / "arkor-odd.timer").write_text(timer_unit(given, "*-*-* 02:00"))
    for unit in ("arkor-odd.service", "arkor-odd.timer"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        ours = [line for line in done.stderr.splitlines() if "arkor-odd" in line]
        assert (done.returncode, ours) == (0, []), done.stderr


def test_a_command_is_quoted_for_systemd(tmp_path: Path) -> None:
    unit = service_unit(
        task(tmp_path, 'a "b" $c \\', "--run-key", NIGHTLY, python="/usr/bin/python3")
    )
    assert (
        'ExecStart=/usr/bin/python3 -m arkor --no-input start "a \\"b\\" $$c \\\\" '
        "--run-key nightly-%%Y-%%m-%%d\n"
    ) in unit
    assert f"WorkingDirectory={tmp_path / ODD}".replace("%", "%%") + "\n" in unit


def test_it_is_not_started_again_where_that_would_cost_or_not_help(tmp_path: Path) -> None:
    lines = service_unit(task(tmp_path)).splitlines()
    assert {
        "Type=notify",
        "WatchdogSec=2min",
        "Restart=on-failure",
        "RestartPreventExitStatus=1 2 3 5",
        "SuccessExitStatus=130 143",
        "KillMode=process",
    } <= set(lines)
    assert "[Install]" not in lines


def test_only_a_unit_of_the_system_names_a_user(tmp_path: Path) -> None:
    system = service_unit(task(tmp_path, user="ada"), at_boot=True).splitlines()
    own = service_unit(task(tmp_path), at_boot=True).splitlines()
    assert {"User=ada", "WantedBy=multi-user.target"} <= set(system)
    assert "WantedBy=default.target" in own
    assert not any(line.startswith("User=") for line in own)


def test_settings_go_along_and_secrets_do_not(tmp_path: Path) -> None:
    environ = {"ARKOR_HOME": "/srv/my store", "ARKOR_TOKEN": "a-secret", "PATH": "/bin"}
    unit = service_unit(task(tmp_path, settings=kept_settings(environ)))
    assert 'Environment="ARKOR_HOME=/srv/my store"\n' in unit
    assert "a-secret" not in unit
    assert "EnvironmentFile=-" in unit


def test_a_name_is_that_of_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "My Project"
    assert Task(root, (), tmp_path).name == "arkor-my-project"


@pytest.mark.parametrize("name", ["a/b", "a b", "-%i@", "a" * 201])
def test_a_name_that_no_unit_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unit's name"):
        Task(tmp_path, (), tmp_path, name=name)


def test_a_line_that_would_be_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="control character"):
        Task(tmp_path, ("a\nExecStart=/bin/evil",), tmp_path)
    with pytest.raises(ConfigError, match="calendar"):
        timer_unit(Task(tmp_path, (), tmp_path), "daily\nUnit=x")


def test_a_line_of_a_crontab_means_the_same_to_a_shell(tmp_path: Path) -> None:
    tell = tmp_path / "tell"
    tell.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get('ARKOR_HOME'),"
        " os.environ.get('ARKOR_TOKEN')]))\n"
    )
    tell.chmod(0o700)
    given = task(
        tmp_path, ODD, "--run-key", NIGHTLY, python=str(tell), settings={"ARKOR_HOME": ODD}
    )
    given.secrets.write_text("ARKOR_TOKEN=a-secret\n")
    line = cron_line(given, "0 2 * * *")
    assert "a-secret" not in line
    *_, command = line.split(" ", 5)
    # What cron does before the shell sees it (crontab(5)).
    said = subprocess.run(
        ["/bin/sh", "-c", command.replace("\\%", "%")], capture_output=True, text=True, check=True
    ).stdout
    arguments = ["-m", "arkor", "--no-input", "start", ODD, "--run-key", NIGHTLY]
    assert json.loads(said) == [arguments, str(tmp_path / ODD), ODD, "a-secret"]


def test_without_a_file_of_secrets_a_crontab_runs_too(tmp_path: Path) -> None:
    given = Task(tmp_path, ("x",), tmp_path / "none", python="/bin/echo")
    command = cron_line(given, "@daily").removeprefix("@daily ")
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert said.stdout == "-m arkor --no-input start x\n"


@pytest.mark.parametrize("schedule", ["0 2 * *", "", "0 2 * * *\n* * * * * evil", "% 2 * * *"])
def test_a_schedule_that_is_none_is_refused(schedule: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="schedule"):
        cron_line(Task(tmp_path, (), tmp_path), schedule)


def test_where_units_are_looked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unit_folder(system=True) == Path("/etc/systemd/system")
    assert unit_folder(system=False) == home.parent / ".config" / "systemd" / "user"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    assert unit_folder(system=False) == Path("/x/systemd/user")
