"""The list of runs: those that were asked for, in order, a page at a time."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from arkor.store.journal import Journal, RunRow
from arkor.studio.progress import with_progress

__all__ = ["ORDERS", "STATUSES", "Asked", "Listed", "Listing", "seconds_of"]

PAGE: Final = 30
"""Runs of one page."""

KEPT: Final = 2_000
"""Settled runs of which is remembered how they went: that does not change any more."""

STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "all": (),
    "running": ("running",),
    "queued": ("queued", "submitting"),
    "completed": ("completed",),
    "failed": ("failed", "refused"),
    "cancelled": ("cancelled",),
}
"""The choices of the filter, and which statuses each stands for: none for any."""

ORDERS: Final[Mapping[str, str]] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "By name",
    "status": "By status",
}
"""The orders of the list, and what they are called."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see of the list. A choice that there is not is the first one."""

    words: str = ""
    status: str = "all"
    order: str = "newest"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        """What an address asks for."""
        status, order, page = query.get("status", ""), query.get("sort", ""), query.get("page", "")
        return cls(
            query.get("q", "").strip()[:200],
            status if status in STATUSES else "all",
            order if order in ORDERS else "newest",
            int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 7 else 1,
        )

    def address(self, **changes: Any) -> str:
        """The address of the list with something else asked for."""
        given = {"q": self.words, "status": self.status, "sort": self.order, "page": 1} | changes
        usual = {"q": "", "status": "all", "sort": "newest", "page": 1}
        query = urlencode({name: value for name, value in given.items() if value != usual[name]})
        return f"/runs?{query}" if query else "/runs"


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list.

    `counts` says how many runs there are for each choice of status, `every` how many there are at
    all; `page` is the last one if there are not so many.
    """

    asked: Asked
    rows: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    every: int
    page: int
    pages: int


class Listing:
    """Lists the runs of a journal, and remembers how those went that nothing is owed of."""

    def __init__(self) -> None:
        self._settled: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def show(self, journal: Journal, asked: Asked) -> Listed:
        """The page that was asked for. Raises `JournalError` if the journal cannot be read."""
        every = journal.runs()
        named = [row for row in every if _is_named(row, asked.words.lower())]
        found = _sorted(_of_status(named, asked.status), asked.order)
        pages = max(-(-len(found) // PAGE), 1)
        page = min(max(asked.page, 1), pages)
        shown = found[(page - 1) * PAGE : page * PAGE]
        return Listed(
            asked,
            [self._view(journal, row) for row in shown],
            {status: len(_of_status(named, status)) for status in STATUSES},
            len(every),
            page,
            pages,
        )

    def _view(self, journal: Journal, row: RunRow) -> Mapping[str, Any]:
        known = self._settled.get(row.run_id)
        if known is not None and known["pruned"] == row.pruned:
            return known
        view = with_progress(journal, row)
        view |= {"seconds": seconds_of(view, datetime.now(UTC))}
        if row.settled:
            self._settled[row.run_id] = view
            if len(self._settled) > KEPT:
                self._settled.popitem(last=False)
        return view


def seconds_of(view: Mapping[str, Any], now: datetime) -> float | None:
    """How long the training took, or takes so far; `None` where the backend has not said."""
    ended = view["status"] not in ("submitting", "queued", "running")
    since, until = _time(view["startedAt"]), _time(view["endedAt"])
    if since is None or (ended and until is None):
        return None
    return max(((until or now) - since).total_seconds(), 0.0)


def _time(text: str | None) -> datetime | None:
    """A time as the backend wrote it."""
    try:
        time = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return time and (time if time.tzinfo else time.replace(tzinfo=UTC))


def _is_named(row: RunRow, words: str) -> bool:
    texts = (row.name, row.run_id, row.job_id, row.run_key)
    return not words or any(words in text.lower() for text in texts if text)


def _of_status(rows: Iterable[RunRow], status: str) -> list[RunRow]:
    wanted = STATUSES[status]
    return [row for row in rows if not wanted or row.status in wanted]


def _sorted(rows: list[RunRow], order: str) -> list[RunRow]:
    """The rows, which come the newest first, in another order."""
    if order == "oldest":
        return rows[::-1]
    if order == "name":
        return sorted(rows, key=lambda row: row.name.casefold())
    return sorted(rows, key=lambda row: row.status) if order == "status" else rows
