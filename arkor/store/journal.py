"""Reading the journal, beside whoever writes it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, func, or_, select

from arkor.core.fold import fold, fold_all
from arkor.core.record import Record
from arkor.core.state import RunOwner, RunState
from arkor.errors import ConfigError, JournalCorruptError, NoSuchRunError
from arkor.store.database import ReadDoor
from arkor.store.lease import Lease, current_owner
from arkor.store.paths import journal_path
from arkor.store.prune import Tombstone, read_tombstone
from arkor.store.query import read_first, read_lease, read_notes, read_page
from arkor.store.runs import COLUMNS, RunRow, run_row
from arkor.store.schema import runs
from arkor.store.search import Found, search_records
from arkor.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from arkor.core.verify import VerifyReport
    from arkor.store.verify import Verifier

__all__ = ["Journal", "RunRow", "open_journal"]

PAGE_RECORDS: Final = 500
PAGE_BYTES: Final = 4_000_000
POLL: Final = 0.1
"""Seconds between two looks of a follower at a quiet log."""

NEWEST: Final = "@last"


def open_journal(home: Path | str | None = None) -> "Journal":
    """The journal in `home`, for reading. One that does not exist yet reads as an empty one.

    Raises `ConfigError` if `ARKOR_JOURNAL_URL` cannot be used.
    """
    return Journal(journal_path(home))


class Journal:
    """The runs and their logs, read-only, for any thread; safe beside a running owner.

    Every method raises `JournalError` if the journal cannot be read: `JournalTooNewError` if a
    newer Arkor wrote it, `JournalCorruptError` if it is damaged. Reading the log of a run that was
    pruned raises `RunPrunedError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._door = ReadDoor(path)
        self._run_ids: set[str] = set()

    def runs(
        self,
        project_root: Path | str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[RunRow]:
        """The runs, newest first: all, or those of a project or with a status."""
        query = COLUMNS.order_by(runs.c.id.desc()).limit(limit)
        if project_root is not None:
            query = query.where(runs.c.project_root == str(project_root))
        if status is not None:
            query = query.where(runs.c.status == status)
        with self._door.connect() as connection:
            return [run_row(row) for row in connection.execute(query)]

    def resolve(self, id: str) -> str:
        """The run id that `id` stands for: a run's or a job's, or the beginning of one.

        `@last` is the newest run that began here. Raises `NoSuchRunError` for none and for several.
        """
        # What came from a file is newer than none that began here.
        newest = select(runs.c.run_id).order_by(runs.c.imported_at.is_not(None), runs.c.id.desc())
        exact = or_(runs.c.run_id == id.upper(), runs.c.job_id == id)
        begins = or_(_begins(runs.c.run_id, id.upper()), _begins(runs.c.job_id, id))
        queries = [newest.limit(1)] if id == NEWEST else [newest.where(exact), newest.where(begins)]
        with self._door.connect() as connection:
            for query in queries:
                found = tuple(connection.execute(query).scalars())
                if len(found) == 1:
                    return str(found[0])
                if found:
                    raise self._ambiguous(id, found)
        raise NoSuchRunError(self._unknown(id), path=self.path)

    def row(self, id: str) -> RunRow:
        """The run as listed. Raises `NoSuchRunError` as `resolve` does."""
        query = COLUMNS.where(runs.c.run_id == self.resolve(id))
        with self._door.connect() as connection:
            return run_row(connection.execute(query).one())

    def run(self, id: str) -> RunState:
        """Everything the run's log says, now, and who has the run.

        Raises `NoSuchRunError` as `resolve` does.
        """
        run_id = self.resolve(id)
        log = partial(self.records, run_id)
        return replace(self.fold(run_id), owner=_owner(self.lease(run_id)), log=log)

    def fold(self, run_id: str, upto: int | None = None) -> RunState:
        """What the run's log adds up to, or its records up to `upto`: from the nearest snapshot.

        Raises `NoSuchRunError` as `resolve` does.
        """
        with self._door.connect() as connection:
            state = read_snapshot(connection, run_id, upto)
        left = None if upto is None else upto - state.records
        return fold_all(self.records(run_id, after=state.records, limit=left), state)

    def records(self, id: str, after: int = 0, limit: int | None = None) -> Iterator[Record]:
        """The run's records behind record `after`, in order, as far as they are there by now.

        Streamed: memory stays flat, and nothing is held between two pages, so the reader may
        take its time. Raises `NoSuchRunError` as `resolve` does.
        """
        run_id = self._run_id(id)
        left = limit
        while left is None or left > 0:
            page = self._page(
                run_id, after, PAGE_RECORDS if left is None else min(left, PAGE_RECORDS)
            )
            if not page:
                self._refuse_pruned(run_id)
                if not after:
                    self.resolve(run_id)  # another file may be in the journal's place by now
                return
            yield from page
            after = page[-1].seq
            left = None if left is None else left - len(page)

    def notes(self, run_id: str, type: str, after: int = 0) -> Iterator[Record]:
        """What this side noted of one type behind record `after`, in order.

        The records are without their `prev_digest`: those between are passed over unread.
        """
        while True:
            with self._door.connect() as connection:
                page = read_notes(connection, run_id, type, after, PAGE_RECORDS)
            if not page:
                return
            yield from page
            after = page[-1].seq

    def search(
        self,
        id: str,
        text: str = "",
        *,
        types: Sequence[str] = (),
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = False,
    ) -> Found:
        """A page of the run's records that hold `text` and are of one of `types`, and their count.

        As `arkor.store.search.search_records` has it. Raises `NoSuchRunError` as `resolve` does.
        """
        run_id = self._run_id(id)
        with self._door.connect() as connection:
            found = search_records(
                connection,
                run_id,
                text=text,
                types=types,
                after=after,
                before=before,
                limit=limit,
                newest=newest,
            )
        if not found.total:
            self._refuse_pruned(run_id)
        return found

    async def follow(self, id: str, after: int = 0) -> AsyncIterator[Record]:
        """The run's records behind record `after`, also those still to come.

        Ends when the run has ended and nobody is delivering it any more. Reads only, so it may
        run beside the owner, in this process or another. Raises `NoSuchRunError`.
        """
        run_id = self._run_id(id)
        state = self.fold(run_id, upto=after)
        while True:
            over = self._is_over(run_id, state)  # asked first: the last page is then complete
            for record in self.records(run_id, after=state.records):
                state = fold(state, record)
                yield record
            if over:
                return
            await asyncio.sleep(POLL)

    def export(self, id: str, format: str = "jsonl") -> Iterator[bytes]:
        """The run's whole log as a file, in pieces: `jsonl`, `csv`, `parquet` or `cloudevents`.

        Streamed as `records` is, and never sampled; each piece of a format of lines is one line.
        `jsonl` is what `arkor import` reads, and all that a digest covers. Raises `ConfigError`
        for another format, or for `parquet` without the extra `export`; `NoSuchRunError` as
        `resolve` does.
        """
        from arkor.store.exporting import export

        return export(self.records(self.resolve(id)), format)

    def verify(self, id: str, head: str | None = None) -> "VerifyReport":
        """Check the run's whole log against its chain of digests, in constant memory.

        `head` is a digest in hex that was kept elsewhere, or a line of `arkor anchor`, or several,
        one a line: only against these a log is found that was cut, or rewritten as a whole. A log
        that has grown since is fine. Raises `ConfigError` for a head that is none or is that of
        another run, `NoSuchRunError` as `resolve` does.
        """
        # Imported here, as `import arkor` should not pay for it.
        from arkor.core.anchor import parse_heads

        run_id = self.resolve(id)
        heads = [] if head is None else parse_heads(head)
        for anchor in heads:
            if anchor.run_id not in (None, run_id):
                raise ConfigError(
                    f"the anchor is of run {anchor.run_id}, and not of run {run_id}", field="head"
                )
        return self._verifier.verify(run_id, heads)

    @cached_property
    def _verifier(self) -> "Verifier":
        from arkor.store.verify import Verifier

        return Verifier(self._door)

    def anchor(self, id: str) -> str:
        """The head of the run's log as one line, to be kept elsewhere and given to `verify` later.

        The log is checked first: an anchor vouches for all that it has by now. Raises
        `JournalCorruptError` if it is not as it was recorded, `RunPrunedError` if it is gone,
        `NoSuchRunError` as `resolve` does.
        """
        from arkor.core.anchor import Anchor

        report = self.verify(id)
        if not report.ok:
            raise JournalCorruptError(
                f"run {report.run_id} is not as it was recorded, and an anchor would vouch for "
                f"it: {report.problem}; `arkor verify {report.run_id}` says what to do",
                path=self.path,
            )
        (last,) = self.records(report.run_id, after=report.records - 1, limit=1)
        return Anchor(last.digest, last.run_id, last.seq, last.recorded_at).line()

    def find_sse(self, run_id: str, sse_id: str, data: str | None = None) -> Record | None:
        """The run's first record with that event id, and with that data where it is given."""
        with self._door.connect() as connection:
            return read_first(connection, run_id, sse_id, data)

    def tombstone(self, run_id: str) -> Tombstone | None:
        """What is left of the run's log, if it was pruned."""
        with self._door.connect() as connection:
            return read_tombstone(connection, run_id)

    def lease(self, run_id: str) -> Lease | None:
        """Who owns the run, or did; `None` if there is no such run."""
        with self._door.connect() as connection:
            return read_lease(connection, run_id)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._door.close()

    def _run_id(self, id: str) -> str:
        # Asked once for a run's own id, which is what most ask with, many times over.
        if id not in self._run_ids:
            run_id = self.resolve(id)
            self._run_ids.add(run_id)
            return run_id
        return id

    def _refuse_pruned(self, run_id: str) -> None:
        # Asked at each end of a log: it may have been removed since its first page was read.
        stone = self.tombstone(run_id)
        if stone is not None:
            raise stone.refusal(self.path)

    def _is_over(self, run_id: str, state: RunState) -> bool:
        if not state.terminal:
            return False
        owner = _owner(self.lease(run_id))
        return state.settled or owner is None or owner.state != "active"

    def _page(self, run_id: str, after: int, limit: int) -> list[Record]:
        page: list[Record] = []
        size = 0
        with self._door.connect() as connection:
            for record in read_page(connection, run_id, after, limit):
                page.append(record)
                size += len(record.data)
                if size > PAGE_BYTES:
                    break
        return page

    def _unknown(self, id: str) -> str:
        if id == NEWEST:
            return f"the journal {self.path} has no run yet; `arkor start` makes one"
        return f"no run or job has the id {id!r}, or one that begins so; `arkor runs` lists them"

    def _ambiguous(self, id: str, found: tuple[str, ...]) -> NoSuchRunError:
        shown = ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")
        return NoSuchRunError(
            f"{id!r} is the beginning of {len(found)} ids ({shown}); give more of it",
            path=self.path,
            matches=found,
        )


def _owner(lease: Lease | None) -> RunOwner | None:
    """Who has the run of `lease` at the moment."""
    if lease is None or lease.state == "released":
        return None
    gone = lease.gone(current_owner(), time.time())
    return RunOwner(lease.owner.host, lease.owner.pid, "orphan" if gone else lease.state)


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    # Not LIKE, which takes capitals for small letters in SQLite and nowhere else.
    return func.substr(column, 1, len(prefix)) == prefix
