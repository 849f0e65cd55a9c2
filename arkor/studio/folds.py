"""What each log adds up to, remembered: of a log that has grown only the new records are read."""

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from arkor.core.fold import fold_all
from arkor.core.state import INITIAL, RunState
from arkor.store.journal import Journal

__all__ = ["folded"]

MOST: Final = 100
"""Runs that are remembered, those asked for last."""


_FOLDS: "Final[weakref.WeakKeyDictionary[Journal, _Folds]]" = weakref.WeakKeyDictionary()


@dataclass(slots=True)
class _Known:
    lock: threading.Lock = field(default_factory=threading.Lock)
    state: RunState = INITIAL


def folded(journal: Journal, run_id: str) -> RunState:
    """What the run's log adds up to, now. Raises `JournalError` as `Journal.fold` does."""
    return _FOLDS.setdefault(journal, _Folds()).of(journal, run_id)


class _Folds:
    """The states of one journal's runs. Of several who ask for one at once, one reads its log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def of(self, journal: Journal, run_id: str) -> RunState:
        known = self._entry(run_id)
        with known.lock:
            known.state = _forward(journal, run_id, known.state)
            return known.state

    def _entry(self, run_id: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(run_id, _Known())
            self._known.move_to_end(run_id)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
            return known


def _forward(journal: Journal, run_id: str, state: RunState) -> RunState:
    if not state.records:
        return journal.fold(run_id)
    # The last record that is known comes along: a log may have been pruned or replaced.
    records = journal.records(run_id, after=state.records - 1)
    last = next(records, None)
    if last is None or last.digest != state.head:
        return journal.fold(run_id)
    return fold_all(records, state)
