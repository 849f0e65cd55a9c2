"""`arkor systemd install` and `arkor cron`: training by the clock, or under a service manager."""

import getpass
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from arkor.cli.door import Exit
from arkor.cli.render import note, show
from arkor.errors import ArkorError, ConfigError
from arkor.runner.nightly import NIGHTLY

if TYPE_CHECKING:
    from arkor.runner.units import Task

__all__ = ["cron", "systemd"]

NIGHT: Final = "*-*-* 02:00"
"""The calendar of a run a night."""

systemd = typer.Typer(
    no_args_is_help=True, help="Run a project's training under systemd, with a watchdog."
)

Entry = Annotated[
    str | None,
    typer.Argument(
        help="A source file or a built artifact; without one, the project's own entry.",
        show_default=False,
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(help="`local` trains on this machine; else a URL.", show_default=False),
]
RunKey = Annotated[
    str | None,
    typer.Option(help="One key, one run; `%Y-%m-%d` is the date of the day.", show_default=False),
]
Name = Annotated[
    str | None,
    typer.Option(help="The task's name; by default after the folder.", show_default=False),
]


@systemd.command("install")
def install(
    entry: Entry = None,
    calendar: Annotated[
        str, typer.Option(metavar="CALENDAR", help="When, as systemd.time(7) has it.")
    ] = NIGHT,
    no_timer: Annotated[
        bool, typer.Option("--no-timer", help="A service only, which somebody starts.")
    ] = False,
    run_key: RunKey = None,
    backend: Backend = None,
    name: Name = None,
    system: Annotated[
        bool, typer.Option("--system", help="For the machine, in /etc/systemd/system.")
    ] = False,
    run_as: Annotated[
        str | None,
        typer.Option(
            metavar="USER", help="Of --system: whose process it is.", show_default="who calls"
        ),
    ] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Write nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace units that say something else.")
    ] = False,
) -> None:
    """Write a unit that runs `arkor start` here each night, and say how to enable it.

    It is started again after a crash, a hang and a lost backend, and goes on with its run; not
    after an end that a second start does not mend. With --no-timer and a run key it
    starts with the machine. Exits 0 if the units are there, 1 if others are in their place.

    Examples: `arkor systemd install --print`, `arkor systemd install --backend local --calendar "Mon *-*-* 03:30"`
    """
    if run_as is not None and not system:
        raise typer.BadParameter("--run-as goes with --system: a user's own units are that user's")
    from arkor.runner.units import service_unit, timer_unit, unit_folder

    key = run_key if no_timer else run_key or NIGHTLY
    owner = (run_as or os.environ.get("SUDO_USER") or getpass.getuser()) if system else None
    task = _task(entry, key, backend, name, owner)
    units = {f"{task.name}.service": service_unit(task, at_boot=no_timer and key is not None)}
    if not no_timer:
        _check_calendar(calendar)
        units[f"{task.name}.timer"] = timer_unit(task, calendar)
    if print_only:
        for file, text in units.items():
            show(f"# {file}")
            for line in text.splitlines():
                show(line)
        return
    _write(unit_folder(system=system), units, force=force)
    _say_next(task, next(reversed(units)), system=system, enable=not no_timer or key is not None)


def _check_calendar(calendar: str) -> None:
    """Ask systemd whether it knows such a time. Raises `ConfigError` if it does not."""
    try:
        asked = ["systemd-analyze", "calendar", "--", calendar]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return  # without systemd here, the unit is for another machine
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or "systemd does not know such a time"
        raise ConfigError(
            f"--calendar {calendar!r}: {reason}; see systemd.time(7)", field="calendar"
        )


def cron(
    entry: Entry = None,
    schedule: Annotated[
        str, typer.Option(metavar="SCHEDULE", help="When, as crontab(5) has it.")
    ] = "0 2 * * *",
    run_key: Annotated[
        str, typer.Option(help="One key, one run; `%Y-%m-%d` is the date of the day.")
    ] = NIGHTLY,
    backend: Backend = None,
    name: Name = None,
    to_crontab: Annotated[
        bool, typer.Option("--install", help="Put it into your crontab, in place of an older one.")
    ] = False,
) -> None:
    """Print a line for a crontab that runs `arkor start` here each night.

    A run that was left unfinished is gone on with the next time. For one that must go on at
    once, take `arkor systemd install`.

    Examples: `arkor cron`, `arkor cron --schedule "30 3 * * 1" --backend local --install`
    """
    from arkor.runner.units import cron_line

    task = _task(entry, run_key, backend, name, None)
    line = cron_line(task, schedule)
    if not to_crontab:
        show(line)
        return
    _put_into_crontab(task.name, line)
    note(f"{task.name} is in your crontab; `crontab -l` lists it, `crontab -e` changes it")


def _task(
    entry: str | None, run_key: str | None, backend: str | None, name: str | None, user: str | None
) -> "Task":
    from arkor.runner.settings import check_address, user_config
    from arkor.runner.units import Task, kept_settings
    from arkor.store.state import project_root

    arguments = [] if entry is None else [str(_entry(entry))]
    # Without a key, too, it goes on with the run of the process that went before.
    arguments += ["--resume"] if run_key is None else ["--run-key", run_key]
    if backend is not None:
        check_address(backend, "backend")
        arguments += ["--backend", backend]
    task = Task(
        root=project_root(),
        arguments=tuple(arguments),
        secrets=user_config().with_name("service.env"),
        name=name or "",
        settings=kept_settings(),
        user=user,
    )
    if os.environ.get("ARKOR_TOKEN"):
        note(f"ARKOR_TOKEN is a secret and is not written; put it into {task.secrets} (mode 0600)")
    return task


def _entry(given: str) -> Path:
    path = Path(given).absolute()
    if not path.is_file():
        raise ConfigError(f"there is no entry {path}", field="entry")
    return path


def _write(folder: Path, units: dict[str, str], *, force: bool) -> None:
    """Write all units or none. One that says something else stays, unless `force` is set."""
    others = [
        file for file, text in units.items() if (there := _text(folder / file)) and there != text
    ]
    if others and not force:
        note(f"{folder / others[0]} says something else, and stays; --force replaces it")
        raise typer.Exit(Exit.NO)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in units.items():
        (folder / file).write_text(text, encoding="utf-8")
        show(str(folder / file))


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else None


def _say_next(task: "Task", unit: str, *, system: bool, enable: bool) -> None:
    systemctl = "systemctl" if system else "systemctl --user"
    act = "enable --now" if enable else "start"
    note(f"next: {systemctl} daemon-reload && {systemctl} {act} {unit}")
    if not system:
        note("      loginctl enable-linger, so that it runs while you are not logged in")
    journalctl = "journalctl" if system else "journalctl --user"
    note(f"look at it with {systemctl} status {task.name} and {journalctl} -u {task.name}")


def _put_into_crontab(name: str, line: str) -> None:
    mark = f"# {name}, by `arkor cron`"
    kept: list[str] = []
    lines = iter(_crontab("-l").splitlines())
    for each in lines:
        if each == mark:
            next(lines, None)  # the line that it is a mark of
        else:
            kept.append(each)
    _crontab("-", "\n".join((*kept, mark, line, "")))


def _crontab(action: str, text: str = "") -> str:
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["crontab", action],
            input=text,
            capture_output=True,
            text=True,
            env=environ,
            timeout=30,
            check=False,
        )
    except FileNotFoundError as error:
        raise ArkorError(
            "crontab is not installed; without --install the line is printed"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ArkorError("crontab did not answer within 30 s; nothing may have changed") from error
    # Who has no crontab yet is no error.
    if done.returncode != 0 and not (action == "-l" and "no crontab for" in done.stderr):
        raise ArkorError(f"crontab {action} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout
