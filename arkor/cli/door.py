"""The one door through which failures leave the command line: a sentence and an exit code."""

import enum
import os
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from arkor.cli.place import backend_address
from arkor.cli.refusals import explained
from arkor.cli.render import note
from arkor.errors import ArkorError, CloudApiError, ConfigError, EntryError, NoSuchRunError

__all__ = ["ErrorDoor", "Exit", "exit_code", "say_error", "sentence"]


NEW: Final = frozenset({"start", "login", "whoami", "link"})
"""The commands that talk to the backend of the settings."""


class Exit(enum.IntEnum):
    """What the exit codes mean; 128 + N is the death by signal N, as shells say it."""

    OK = 0
    FAILED = 1
    NO = 1
    USAGE = 2
    CANCELLED = 3
    UNFINISHED = 4
    ENVIRONMENT = 4
    CALLBACK = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


def exit_code(error: ArkorError | OSError) -> Exit:
    """The exit code of a command that `error` ended."""
    match error:
        case ConfigError() | EntryError():
            return Exit.USAGE
        case NoSuchRunError():
            return Exit.NO
        case _:
            return Exit.ENVIRONMENT


class ErrorDoor(TyperGroup):
    """A group of commands whose failures are one sentence on stderr, unless `--debug` is given.

    What is no `ArkorError` and no `OSError` is a bug, and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and all of its output, behind the door."""
        try:
            result = super().invoke(ctx)
            # A full disk or a reader that has gone shows when the output is written out.
            sys.stdout.flush()
        except BrokenPipeError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(Exit.BROKEN_PIPE) from error
        except KeyboardInterrupt as error:
            note("interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from error
        except (ArkorError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            # A recorded run knows its own backend, which need not be that of the settings.
            where = backend_address() if ctx.invoked_subcommand in NEW else None
            raise typer.Exit(say_error(error, where)) from error
        return result


def say_error(error: ArkorError | OSError, where: str | None = None) -> Exit:
    """Say what went wrong in one sentence, and which exit code that is.

    `where` is the address of the backend, if it is known.
    """
    note(f"error: {sentence(error, where)}")
    return exit_code(error)


def sentence(error: Exception, where: str | None = None) -> str:
    """What went wrong, in one sentence; `where` as for `say_error`."""
    if isinstance(error, CloudApiError):
        return explained(error, where or "the backend")
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error) or type(error).__name__
