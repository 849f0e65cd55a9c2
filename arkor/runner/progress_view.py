"""Progress on stderr: a bar at the foot of a terminal, plain lines where there is none."""

import os
import sys
import threading
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Final, Protocol

from arkor.runner.contact import Contact
from arkor.runner.pace import Pace

__all__ = ["Lines", "View", "open_view"]

QUIET: Final = 1.0
"""Seconds between two lines of figures at least, where there is no terminal."""


class View(Protocol):
    """What shows the progress of one run."""

    def show(self, pace: Pace) -> None:
        """Show how far the run has come."""

    def hear(self, contact: Contact) -> None:
        """Show whether events still come."""

    def say(self, text: str) -> None:
        """Say something that happened."""

    def close(self, last: str = "") -> None:
        """End it; the last figures stay, followed by `last`."""


def open_view(title: str = "") -> View:
    """A view of one run on stderr, each of its lines headed by `title`."""
    return _Bar(title) if _can_draw() else Lines(title)


def _can_draw() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Lines:
    """Lines of figures, one a second at most."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._pace: Pace | None = None
        self._held = False
        self._next = 0.0
        self._trouble = ""

    def show(self, pace: Pace) -> None:
        """Print the figures, or hold them back until the next second."""
        if str(pace) == str(self._pace):
            return
        self._pace, self._held = pace, monotonic() < self._next
        if not self._held:
            self.say(str(pace))
            self._next = monotonic() + QUIET

    def hear(self, contact: Contact) -> None:
        """Print what is wrong with the stream, and that it is there again."""
        before, self._trouble = self._trouble, contact.trouble
        if self._trouble != before:
            self.say(self._trouble or "connected to the backend again")

    def say(self, text: str) -> None:
        """Print a line."""
        print(_joined(self._title, text), file=sys.stderr, flush=True)

    def close(self, last: str = "") -> None:
        """Print the figures that were held back, and `last`."""
        if self._held or last:
            self.say(_joined(self._pace, last))


class _Bar:
    """A line of its own among the bars at the foot of the terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._pace: Pace | None = None
        self._contact = Contact()
        self._task = _foot.add(self._text)

    def show(self, pace: Pace) -> None:
        self._pace = pace
        _foot.update(self._task, pace)

    def hear(self, contact: Contact) -> None:
        self._contact = contact

    def say(self, text: str) -> None:
        _foot.say(_joined(self._title, text))

    def close(self, last: str = "") -> None:
        _foot.remove(self._task)
        if self._pace is not None or last:
            _foot.say(_joined(self._title, self._pace, last))

    def _text(self) -> str:
        """What the line says at this moment; asked for at each refresh."""
        pace, contact = self._pace, self._contact
        return _joined(
            self._title,
            contact.trouble,
            pace or "waiting for the first step",
            pace and pace.curve if _has_blocks() else "",
            contact.age(time()),
        )


def _has_blocks() -> bool:
    """Whether the terminal's encoding has the characters of a curve."""
    # `sys.stderr` is another object while the bars are there, and says nothing of its encoding.
    encoding = getattr(sys.__stderr__, "encoding", None)
    return str(encoding).lower().startswith("utf")


class _Foot:
    """The one live display of this process: a terminal has only one foot, and runs may be many.

    What callbacks print meanwhile goes above it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: Any = None

    def add(self, text: Callable[[], str]) -> Any:
        with self._lock:
            if self._live is None:
                self._live = _live_display()
                self._live.start()
            return self._live.add_task("", total=None, text=text)

    def update(self, task: Any, pace: Pace) -> None:
        with self._lock:
            if self._live is not None:
                self._live.update(task, completed=pace.step, total=pace.total)

    def say(self, text: str) -> None:
        with self._lock:
            if self._live is not None:
                self._live.console.print(text, markup=False)
            else:
                print(text, file=sys.stderr, flush=True)

    def remove(self, task: Any) -> None:
        with self._lock:
            if self._live is None:
                return
            self._live.remove_task(task)
            if not self._live.tasks:
                live, self._live = self._live, None
                live.stop()


_foot: Final = _Foot()


def _live_display() -> Any:
    from rich.console import Console  # only who shows a bar pays for rich
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task
    from rich.table import Column
    from rich.text import Text

    class Words(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["text"]())

    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        Words(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=Console(stderr=True, highlight=False, emoji=False),
        # Where stdout is no terminal, it holds data: rich must not take that over.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )


def _joined(*parts: object) -> str:
    return "  ".join(str(part) for part in parts if part not in ("", None))
