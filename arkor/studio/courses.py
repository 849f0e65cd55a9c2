"""The courses of runs, read from their logs as far as somebody waits for them."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from arkor.core.events import TrainingLog, decode
from arkor.core.record import Record
from arkor.core.series import Series
from arkor.errors import JournalCorruptError
from arkor.runner.pace import moment
from arkor.runner.timeline import METRICS, Timeline, When
from arkor.store.journal import Journal

__all__ = ["Course", "Courses"]

MOST: Final = 16
"""Runs whose courses are kept: those that somebody looked at last."""

PAGE: Final = 500
"""Records between two looks at the clock."""

PROBES: Final = 400
"""Places of a long log that a sketch of its curves looks at."""

AROUND: Final = 4
"""Records that are looked at in each place: between two reports may stand receipts."""


@dataclass(slots=True)
class Course:
    """The timeline of one run up to record `read`; `done` if that was the log's last one.

    `trouble` says why it goes no further, where the log is damaged. Whoever looks holds `lock`.
    """

    run_id: str
    timeline: Timeline = field(default_factory=Timeline)
    read: int = 0
    done: bool = False
    trouble: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sketch: Timeline | None = field(default=None, repr=False)

    @property
    def waits(self) -> bool:
        """Whether there is more to be read."""
        return not self.done and self.trouble is None

    @property
    def sketched(self) -> bool:
        """Whether there is something to draw before all is read."""
        return self._sketch is not None

    def go_on(self, journal: Journal, seconds: float) -> None:
        """Read on, for so many seconds at most; a run that goes on has more each time."""
        until = time.monotonic() + seconds
        self.done = False
        try:
            while self.waits:
                before = self.read
                for record in journal.records(self.run_id, after=before, limit=PAGE):
                    self.timeline.add(record)
                    self.read = record.seq
                self.done = self.read < before + PAGE
                if time.monotonic() > until:
                    return
        except JournalCorruptError as error:
            self.trouble = str(error)

    def curves(self, journal: Journal) -> Timeline:
        """What to draw: the curves of the whole log, or, while it is being read, a sketch."""
        if not self.waits:
            self._sketch = None
            return self.timeline
        if self._sketch is None:
            self._sketch = _sketch(journal, self.run_id)
        return self._sketch


class Courses:
    """The courses that this Studio has read. Any thread may ask.

    A log is only read while somebody asks for it, so a closed page costs nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Course] = OrderedDict()

    @contextmanager
    def of(
        self, journal: Journal, run_id: str, seconds: float, *, to_draw: bool = False
    ) -> Iterator[Course]:
        """The course of a run, read on for so many seconds at most; nobody else has it meanwhile.

        If it is `to_draw`, a sketch comes first: whoever looks sees something at once.

        Raises `RunPrunedError` if the records are gone, `JournalError` if they cannot be read.
        """
        course = self._find(run_id)
        with course.lock:
            sketch_first = to_draw and course.waits and not course.sketched
            course.go_on(journal, 0.0 if sketch_first else seconds)
            yield course

    def _find(self, run_id: str) -> Course:
        with self._lock:
            course = self._kept.setdefault(run_id, Course(run_id))
            self._kept.move_to_end(run_id)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
            return course


def _sketch(journal: Journal, run_id: str) -> Timeline:
    """The curves in a few hundred places of the log, evenly apart."""
    total = journal.fold(run_id).records
    timeline = Timeline()
    for place in range(PROBES):
        after = (total - AROUND) * place // (PROBES - 1)
        for record in journal.records(run_id, after=max(after, 0), limit=AROUND):
            _draw(timeline, record)
    return timeline


def _draw(timeline: Timeline, record: Record) -> None:
    event = decode(record.type, record.data) if record.source == "stream" else None
    if not isinstance(event, TrainingLog):
        return
    when = When(event.step, moment(json.loads(record.data), record.recorded_at))
    for name in METRICS:
        value = getattr(event, name)
        if value is not None:
            timeline.series.setdefault(name, Series()).add(when, value)
