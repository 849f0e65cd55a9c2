"""What an examination finds: each thing with how bad it is, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from arkor.errors import ArkorError

__all__ = ["LEVELS", "Finding", "Level", "as_finding", "looked"]

Level = Literal["ok", "note", "warning", "problem"]
"""How bad: as it should be; good to know; may cost something; does not work."""

LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. No text of it holds a token.

    `check` is a group and a name, as in `journal.schema`, and the same in every release.
    `next_step` is a command or an action, and there unless `level` is `ok`.
    """

    check: str
    level: Level
    what: str
    next_step: str | None = None

    def __post_init__(self) -> None:
        if (self.level == "ok") is not (self.next_step is None):
            raise ValueError(f"{self.check}: what is not ok, and only that, has a next step")

    @property
    def group(self) -> str:
        """What is examined: `machine`, `store`, `journal`, `runs`, `account` or `backend`."""
        return self.check.partition(".")[0]

    @property
    def name(self) -> str:
        """Which check of the group it is."""
        return self.check.partition(".")[2]


def looked(check: str, look: Callable[[], list[Finding]], next_step: str) -> list[Finding]:
    """What `look` finds; that it could not be done is a finding too, with that next step."""
    try:
        return look()
    except (ArkorError, OSError) as error:
        return [as_finding(check, error, next_step)]


def as_finding(check: str, error: ArkorError | OSError, next_step: str) -> Finding:
    """A failure as a problem of `check`."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return Finding(check, "problem", f"{place}{error.strerror}", next_step)
    return Finding(check, "problem", str(error) or type(error).__name__, next_step)
