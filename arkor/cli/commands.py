"""The commands by name, each imported when it is asked for: one does not pay for the others."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer

from arkor.cli.door import ErrorDoor

__all__ = ["COMMANDS", "Commands"]

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Train": {
        "init": "init:init",
        "new": "init:new",
        "build": "start:build",
        "start": "start:start",
        "watch": "watch:watch",
        "resume": "resume:resume",
        "cancel": "runs:cancel",
        "adopt": "resume:adopt",
    },
    "Look at runs": {
        "dev": "dev:dev",
        "runs": "runs:runs",
        "show": "runs:show_run",
        "events": "runs:events",
        "report": "report:report",
        "diff": "report:diff",
        "replay": "replay:replay",
    },
    "Keep the journal": {
        "verify": "verify:verify",
        "anchor": "anchor:anchor",
        "export": "export:export_run",
        "import": "export:import_file",
        "prune": "prune:prune",
        "store": "store:app",
    },
    "Account and machine": {
        "login": "login:login",
        "logout": "login:logout",
        "whoami": "account:whoami",
        "link": "project:link",
        "unlink": "project:unlink",
        "doctor": "doctor:doctor",
        "backend": "backend:app",
        "systemd": "service:systemd",
        "cron": "service:cron",
    },
}
"""Of each subject its commands, with the module of `arkor.cli` and the name in it.

The name is that of a function, or of a `typer.Typer` with commands of its own.
"""


class Commands(ErrorDoor):
    """The group of all commands. Its help has a section for each subject."""

    def __init__(self, *, commands: Any = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Later(COMMANDS, dict(commands or {}))

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help; nothing is imported."""
        return list(self.commands)


class _Later(MutableMapping[str, Any]):
    """Commands by name; the first look at one imports it."""

    def __init__(
        self, subjects: Mapping[str, Mapping[str, str]], loaded: MutableMapping[str, Any]
    ) -> None:
        self._places = {
            name: (subject, place)
            for subject, places in subjects.items()
            for name, place in places.items()
        }
        self._loaded = loaded

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, *self._places[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._loaded.pop(name, None)
        self._places.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._places, **self._loaded})

    def __len__(self) -> int:
        return len({**self._places, **self._loaded})


def _load(name: str, subject: str, place: str) -> Any:
    """The command of that name, as typer makes it."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"arkor.cli.{module}"), attribute)
    shelf = typer.Typer(rich_markup_mode="markdown", add_completion=False)
    if isinstance(found, typer.Typer):
        shelf.add_typer(found, name=name, rich_help_panel=subject)
    else:
        shelf.command(name, rich_help_panel=subject)(found)
    return typer.main.get_group(shelf).commands[name]
