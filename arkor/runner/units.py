"""A project's training as a systemd unit, with a timer, or as a line of a crontab."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arkor.errors import ConfigError
from arkor.runner.scope import slug_of

__all__ = ["Task", "cron_line", "kept_settings", "service_unit", "timer_unit", "unit_folder"]

KEPT: Final = ("ARKOR_HOME", "ARKOR_PROJECT")
"""Settings that a service must have as the terminal has them; none of them is a secret."""

SERVICE: Final = """\
# Written by `arkor systemd install`.
[Unit]
Description=Arkor: train {name}
Wants=network-online.target
After=network-online.target
# The network may be away for a night: each start that finds no backend costs a minute.
StartLimitIntervalSec=0

[Service]
# Ready once the backend has accepted the run. From then on the thread that records the run and
# renews its lease feeds the watchdog.
Type=notify
TimeoutStartSec=15min
WatchdogSec=2min
# A memory dump would hold tokens.
WatchdogSignal=SIGKILL
WorkingDirectory={root}
ExecStart={command}
{environment}# ARKOR_TOKEN and other secrets, a NAME=value a line, in a file of mode 0600; it may be missing.
EnvironmentFile=-{secrets}
{user}Restart=on-failure
RestartSec=1min
# Started again, `arkor start` goes on with its run after a crash, a kill, the watchdog or exit 4
# (no network, no token, no journal). Not after
#   1 the run failed at the backend: to train again is a decision, and may cost money
#   2 wrong usage, which a second start does not mend
#   3 somebody cancelled the run
#   5 a callback raised: it would again, and after the run's end a start submits a new one
RestartPreventExitStatus=1 2 3 5
# Stopped by a signal: the run goes on at the backend, the next start goes on with it.
SuccessExitStatus=130 143
# The embedded backend outlives who started it, and with it the run.
KillMode=process
TimeoutStopSec=15s
{install}"""

TIMER: Final = """\
# Written by `arkor systemd install`.
[Unit]
Description=Arkor: train {name} when it is time

[Timer]
OnCalendar={calendar}
# After a night that the machine slept through, it is made up for: a run key is run only once.
Persistent=true

[Install]
WantedBy=timers.target
"""

INSTALL: Final = """
[Install]
WantedBy={target}
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to run where: `arkor start` with `arguments` in the project at `root`.

    `name` is that of the unit, by default after the folder. `settings` are environment variables
    without secrets. `user` is whose process it is, for a unit of the whole system; `secrets` the
    file with the others.
    """

    root: Path
    arguments: tuple[str, ...]
    secrets: Path
    name: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    python: str = sys.executable

    def __post_init__(self) -> None:
        name = self.name or f"arkor-{slug_of(str(self.root))}"
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", name):
            raise ConfigError(
                f"a unit's name is made of letters, digits, '_', '.' and '-', not {name!r}",
                field="name",
            )
        object.__setattr__(self, "name", name)
        texts = (str(self.root), str(self.secrets), *self.arguments, *self.settings.values())
        if broken := next((text for text in texts if not text.isprintable()), None):
            raise ConfigError(f"{broken!r} cannot stand in a line: it has a control character")

    @property
    def command(self) -> tuple[str, ...]:
        """The command, with this interpreter."""
        return (self.python, "-m", "arkor", "--no-input", "start", *self.arguments)


def kept_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The settings of the environment that a service needs too."""
    return {name: environ[name] for name in KEPT if environ.get(name)}


def unit_folder(*, system: bool) -> Path:
    """Where systemd looks for the units of an administrator, or of a user (systemd.unit(5))."""
    if system:
        return Path("/etc/systemd/system")
    given = os.environ.get("XDG_CONFIG_HOME")
    return (Path(given) if given else Path.home() / ".config") / "systemd" / "user"


def service_unit(task: Task, *, at_boot: bool = False) -> str:
    """The text of the service's unit. With `at_boot` it starts with the machine, or the user."""
    settings = (f"Environment={_quoted(f'{name}={task.settings[name]}')}" for name in task.settings)
    target = "multi-user.target" if task.user else "default.target"
    return SERVICE.format(
        name=_plain(task.name),
        root=_plain(task.root),
        # `$` begins a variable in a command, and there alone.
        command=" ".join(_quoted(part).replace("$", "$$") for part in task.command),
        environment="".join(f"{line}\n" for line in settings),
        secrets=_plain(task.secrets),
        user=f"User={_plain(task.user)}\n" if task.user else "",
        install=INSTALL.format(target=target) if at_boot else "",
    )


def timer_unit(task: Task, calendar: str) -> str:
    """The text of the unit that starts the service at `calendar` (systemd.time(7))."""
    if not calendar.strip() or not calendar.isprintable():
        raise ConfigError(
            f"a calendar is a text such as `*-*-* 02:00`, not {calendar!r}", field="calendar"
        )
    return TIMER.format(name=_plain(task.name), calendar=_plain(calendar))


def cron_line(task: Task, schedule: str) -> str:
    """A line of a crontab(5) that starts the task at `schedule`, of five fields or `@daily`.

    What it prints, cron sends by mail.
    """
    if not re.fullmatch(r"@[a-z]+|\S+(?:[ \t]+\S+){4}", schedule) or "%" in schedule:
        raise ConfigError(
            f"a schedule has five fields as `0 2 * * *`, or is a word as @daily, not {schedule!r}",
            field="schedule",
        )
    settings = (f"{name}={shlex.quote(value)}" for name, value in task.settings.items())
    there = f"cd {shlex.quote(str(task.root))}"
    # Secrets are read from their file at each start; the crontab itself is no place for them.
    secrets = shlex.quote(str(task.secrets))
    load = f"{{ test ! -r {secrets} || {{ set -a; . {secrets}; set +a; }}; }}"
    command = f"{there} && {load} && {' '.join((*settings, shlex.join(task.command)))}"
    # Cron takes a bare `%` for the end of the line.
    return f"{schedule} {command.replace('%', chr(92) + '%')}"


def _plain(value: object) -> str:
    """A value in which `%` is no specifier."""
    return str(value).replace("%", "%%")


def _quoted(text: str) -> str:
    """One word, as systemd.syntax(7) quotes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    bare = re.fullmatch(r"[A-Za-z0-9_./:=@%+,-]+", text)
    return _plain(text if bare else f'"{escaped}"')
