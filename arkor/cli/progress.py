"""Live progress of a run: a reader of the journal, beside the trainer and apart from it.

It runs on a thread of its own, so it moves on while a callback blocks the loop.
"""

import threading
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from arkor.cli.render import note
from arkor.core.notes import CallbackFailed, read_note
from arkor.core.record import Record
from arkor.errors import ArkorError
from arkor.runner.contact import Contact, listen
from arkor.runner.pace import Pace, observe
from arkor.runner.progress_view import Lines, View, open_view

__all__ = ["POLL", "Progress"]

POLL: Final = 0.2
"""Seconds between two looks into the journal."""


class Progress:
    """Shows a run's progress on stderr while the block lasts; no figures with `quiet`.

    `failed` is the note of the last callback that raised meanwhile.
    """

    def __init__(self, home: Path, run_id: str, *, quiet: bool = False) -> None:
        self.failed: CallbackFailed | None = None
        self._home, self._run_id, self._quiet = home, run_id, quiet
        self._pace, self._contact, self._seen = Pace(), Contact(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="arkor-progress", daemon=True)

    @property
    def pace(self) -> Pace:
        """How far the run has come, as far as it was seen."""
        return self._pace

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
            with closing(_Remarks("") if self._quiet else open_view()) as view:
                self._show(view)
                last = False
                while not last:
                    last = self._stop.wait(POLL)
                    for record in journal.records(self._run_id, after=self._seen):
                        self._report(record, view)
        except (ArkorError, OSError) as error:
            note(f"the progress of the run cannot be shown: {error}")

    def _observe(self, record: Record) -> None:
        self._pace = observe(self._pace, record)
        self._contact = listen(self._contact, record)
        self._seen = record.seq

    def _show(self, view: View) -> None:
        view.hear(self._contact)
        if self._pace.step:
            view.show(self._pace)

    def _report(self, record: Record, view: View) -> None:
        self._observe(record)
        self._show(view)
        if record.type == "checkpoint.saved" and not self._quiet:
            view.say(f"checkpoint saved at step {self._pace.step}")
        said = read_note(record)
        if isinstance(said, CallbackFailed):
            self.failed = said


class _Remarks(Lines):
    """No figures, where a `ProgressBar` of the trainer's own shows them."""

    def show(self, pace: Pace) -> None:
        """Leave the figures to the bar."""
