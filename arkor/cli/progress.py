"""Live progress of a run: a reader of the journal, beside the trainer and apart from it.

It runs on a thread of its own, so it moves on while a callback blocks the loop.
"""

import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final, Protocol, Self

from arkor.cli.pace import Pace, observe
from arkor.cli.render import note
from arkor.core.notes import CallbackFailed, StreamClosed, read_note
from arkor.core.record import Record
from arkor.errors import ArkorError

__all__ = ["Progress"]

POLL: Final = 0.2
"""Seconds between two looks into the journal."""

QUIET: Final = 1.0
"""Seconds between two lines at least, where there is no terminal."""


class View(AbstractContextManager[Any], Protocol):
    """What shows the progress."""

    def show(self, pace: Pace) -> None:
        """Show how far the run has come."""

    def say(self, text: str) -> None:
        """Say something that happened."""


class Progress:
    """Shows a run's progress on stderr while the block lasts: a bar on a terminal, else lines.

    `failed` is the note of the last callback that raised meanwhile.
    """

    def __init__(self, home: Path, run_id: str) -> None:
        self.failed: CallbackFailed | None = None
        self._home, self._run_id = home, run_id
        self._pace, self._seen = Pace(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="arkor-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        from arkor.store.journal import open_journal

        try:
            journal = open_journal(self._home)
            # What an earlier process has recorded says where the run stands, and is no news.
            for record in journal.records(self._run_id):
                self._observe(record)
            with _view() as view:
                last = False
                while not last:
                    last = self._stop.wait(POLL)
                    for record in journal.records(self._run_id, after=self._seen):
                        self._report(record, view)
        except (ArkorError, OSError) as error:
            note(f"the progress of the run cannot be shown: {error}")

    def _observe(self, record: Record) -> bool:
        before, self._pace = self._pace, observe(self._pace, record)
        self._seen = record.seq
        return self._pace != before

    def _report(self, record: Record, view: View) -> None:
        if self._observe(record):
            view.show(self._pace)
        if record.type == "checkpoint.saved":
            view.say(f"checkpoint saved at step {self._pace.step}")
        match read_note(record):
            case CallbackFailed() as failed:
                self.failed = failed
            case StreamClosed(failures=failures, reason=reason) if failures:
                view.say(f"reconnecting to the backend: {reason}")


def _view() -> View:
    return _Bar() if sys.stderr.isatty() else _Lines()


class _Lines:
    """A line a second at most."""

    def __init__(self) -> None:
        self._last: Pace | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            note(str(self._last))

    def show(self, pace: Pace) -> None:
        if not pace.step:
            return
        if monotonic() < self._next:
            self._last = pace
            return
        note(str(pace))
        self._last, self._next = None, monotonic() + QUIET

    def say(self, text: str) -> None:
        note(text)


class _Bar:
    """A bar at the foot of the terminal; what callbacks print goes above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        self._bar = RichProgress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=Console(stderr=True, highlight=False),
            # Where stdout is no terminal, it holds data: rich must not take that over.
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("waiting for the first step", total=None)
        self._last: Pace | None = None

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._last is not None:
            note(str(self._last))  # what the bar said last stays when it has gone

    def show(self, pace: Pace) -> None:
        self._last = pace
        self._bar.update(self._task, completed=pace.step, total=pace.total, description=str(pace))

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False)
