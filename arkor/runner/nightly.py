"""Run keys with a date in them, and the schedules that use them."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from arkor.core.wire import TERMINAL_STATUSES
from arkor.errors import ConfigError

__all__ = ["NIGHTLY", "Keyed", "expand_key"]

NIGHTLY: Final = "nightly-%Y-%m-%d"
"""The key of a run a night."""

DIRECTIVES: Final = "YmdHMjGVu"
"""What strftime(3) calls the parts of a date that may be in a key; all of them are digits."""


class Keyed(Protocol):
    """What of a run counts here, as the journal lists it."""

    @property
    def run_key(self) -> str | None:
        """Its key, if it has one."""

    @property
    def status(self) -> str:
        """Its status, as the log has it."""


def expand_key(pattern: str, now: datetime, runs: Iterable[Keyed] = ()) -> str:
    """The run key of `pattern` at `now`: `nightly-%Y-%m-%d` gives `nightly-2026-11-24`.

    Of the `runs` of the project, newest first, an unfinished one whose key is of this pattern
    lends its own, the oldest first: started again after midnight, it is last night's run that
    goes on, and no second one begins beside it. A text without `%` is the key itself. Raises
    `ConfigError` for a part that is none of a date.
    """
    if "%" not in pattern:
        return pattern
    shape = _shape(pattern)
    left = [
        run.run_key
        for run in runs
        if run.run_key and run.status not in (*TERMINAL_STATUSES, "refused")
    ]
    for key in reversed(left):
        if shape.fullmatch(key):
            return key
    return now.strftime(pattern)


def _shape(pattern: str) -> "re.Pattern[str]":
    """What the keys of a pattern look like."""
    parts = re.split(r"%(.?)", pattern)
    for directive in parts[1::2]:
        if directive != "%" and directive not in tuple(DIRECTIVES):
            raise ConfigError(
                f"run key {pattern!r}: %{directive} is no part of a date; there are "
                f"{', '.join(f'%{each}' for each in DIRECTIVES)}, and %% is a percent sign",
                field="run_key",
            )
    texts = map(re.escape, parts[::2])
    fields = ["%" if each == "%" else r"\d+" for each in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*fields, ""], strict=True)))
