"""Salvaging a damaged journal: what is whole goes into a new one, what is missing is named."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, update

from arkor.core.fold import fold
from arkor.core.notes import SubmitRequested, read_note
from arkor.core.record import Record
from arkor.core.state import INITIAL, RunState
from arkor.core.wire import TERMINAL_STATUSES
from arkor.errors import ConfigError, JournalCorruptError, JournalError
from arkor.store.files import sync_folder
from arkor.store.moment import microseconds
from arkor.store.owner import Owner
from arkor.store.pages import missing_pages, read_rows
from arkor.store.runs import index_of
from arkor.store.salvage_finds import Finds, collect
from arkor.store.salvage_proof import Kinds, Saved, prove
from arkor.store.schema import (
    kinds,
    leases,
    meta,
    project_states,
    pruned,
    records,
    runs,
)
from arkor.store.writer import Writer

__all__ = ["SalvageReport", "SalvagedRun", "salvage"]

BATCH: Final = 500
SAMPLE: Final = 200
"""Seqs of a run that are tried to find out which of several ids is its own."""

SALT: Final = "redaction_salt"
NOBODY: Final = Owner(host="", boot_id="", pid_ns="", pid=0, process_start="")


@dataclass(frozen=True, slots=True)
class SalvagedRun:
    """What was saved of a run: `records` of them, and which seqs are `missing`, as ranges.

    The end of the last range is `None` where nobody can tell how long the log was, or whether it
    went on. `unproven` are seqs of records whose content nothing vouches for, since the one before is missing.
    """

    run_id: str
    records: int
    missing: tuple[tuple[int, int | None], ...] = ()
    unproven: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing of the run is known to be missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What came of a damaged journal: its runs, and what else is lost.

    `missing_pages` is how much the file is shorter than it was, in its pages: then a run that had
    not ended may have gone on. `unclaimed` counts what may be records of runs whose ids are lost;
    these are not saved. `salt_lost` says that secrets are digested with another salt from now on.
    """

    runs: tuple[SalvagedRun, ...]
    missing_pages: int
    unclaimed: int
    salt_lost: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        lost = self.missing_pages or self.unclaimed
        return not lost and all(run.whole for run in self.runs)


def salvage(damaged: Path, target: Path) -> SalvageReport:
    """Write what is whole of the journal `damaged` into a new one at `target`.

    The damaged file, with its write-ahead log, is only read. It must not be written to meanwhile.
    Raises `ConfigError` if there is something at `target`, `JournalCorruptError` if nothing of a
    journal is legible, `JournalError` if a file cannot be read or written; then there is no new
    journal.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already; name a new file", field="target")
    try:
        # Beside the target: no other disk must have room for it.
        with TemporaryDirectory(prefix=".arkor-salvage-", dir=target.parent) as folder:
            return _salvage(damaged, target, Path(folder))
    except OSError as error:
        raise JournalError(
            f"{damaged} cannot be salvaged into {target}: {error.strerror}", path=damaged
        ) from error


def _salvage(damaged: Path, target: Path, folder: Path) -> SalvageReport:
    finds = collect(read_rows(damaged), folder / "finds.db")
    with closing(finds.scratch):
        numbers = finds.run_numbers()
        if not numbers and not finds.rows[meta.name]:
            raise JournalCorruptError(
                f"nothing of a journal is legible in {damaged}; take a backup", path=damaged
            )
        made = folder / "arkor.db"
        with closing(Writer(made)) as writer, writer.transaction(durable=True) as tx:
            report = _Salvage(tx.connection, finds, missing_pages(damaged)).everything(numbers)
    os.link(made, target)  # unlike a renaming, it replaces nothing that has come meanwhile
    sync_folder(target.parent)
    return report


class _Salvage:
    """The way of what was found into the new journal."""

    def __init__(self, connection: Connection, finds: Finds, missing: int) -> None:
        self._missing = missing
        self._connection = connection
        self._finds = finds
        self._kinds = Kinds(finds.kinds)
        self._numbers: dict[tuple[str, str], int] = {}
        self._ids: set[str] = set()
        self._began: dict[int, str] = {}
        self._keys: set[tuple[object, ...]] = set()
        self._rows = {row["id"]: row for row in reversed(finds.rows[runs.name])}
        self._pruned = {row["run"]: row for row in finds.rows[pruned.name]}

    def everything(self, numbers: list[int]) -> SalvageReport:
        """Save all; the runs with a row first, whose ids are theirs beyond doubt."""
        salt_lost = self._save_meta()
        saved: dict[int, SalvagedRun] = {}
        unclaimed = 0
        for number in sorted(numbers, key=lambda number: number not in self._rows):
            run_id = self._id_of(number)
            if run_id is None:
                unclaimed += self._finds.count(number)
                continue
            self._ids.add(run_id)
            saved[number] = self._save_run(number, run_id)
        self._save(
            kinds, ({"id": n, "source": s, "type": t} for (s, t), n in self._numbers.items())
        )
        return SalvageReport(
            tuple(saved[number] for number in sorted(saved)), self._missing, unclaimed, salt_lost
        )

    def _save_meta(self) -> bool:
        found = {row["key"]: row for row in self._finds.rows[meta.name]}
        if SALT in found:
            self._connection.execute(delete(meta))
            self._save(meta, found.values())
        states = {row["project_root"]: row for row in self._finds.rows[project_states.name]}
        self._save(project_states, states.values())
        return SALT not in found

    def _id_of(self, number: int) -> str | None:
        """The run's id: of those that it may have, the one under which its chain holds."""
        row = self._rows.get(number)
        named = [row["run_id"]] if row else []
        for _, finds in islice(self._finds.of_run(number), 1):
            named += [name for find in finds for name in _keys_in(find.data)]
        named = [name for name in (*named, *self._finds.names[number]) if name not in self._ids]
        for name in dict.fromkeys(named):
            sample = islice(self._finds.of_run(number), SAMPLE)
            if any(saved.proven for saved in prove(name, sample, self._kinds)):
                return str(name)
        return str(row["run_id"]) if row and row["run_id"] not in self._ids else None

    def _save_run(self, number: int, run_id: str) -> SalvagedRun:
        row = self._rows.get(number) or _blank(number)
        provisional = {**row, "run_id": run_id, "run_key": None}
        self._connection.execute(insert(runs).values(provisional))
        if number in self._pruned:
            self._save(pruned, [self._pruned[number]])
            state, report = INITIAL, SalvagedRun(run_id, 0)
        else:
            state, report = self._save_records(number, run_id)
        self._finish(number, row, state, report)
        return report

    def _save_records(self, number: int, run_id: str) -> tuple[RunState, SalvagedRun]:
        state, count = INITIAL, 0
        missing: list[tuple[int, int | None]] = []
        unproven: list[int] = []
        kept = prove(run_id, self._finds.of_run(number), self._kinds)
        while batch := list(islice(kept, BATCH)):
            for saved in batch:
                if saved.record.seq > state.records + 1:
                    missing.append((state.records + 1, saved.record.seq - 1))
                if not saved.proven:
                    unproven.append(saved.record.seq)
                self._began.setdefault(number, saved.record.recorded_at)
                state = fold(state, saved.record)
            self._save(records, self._stored(number, batch))
            count += len(batch)
        missing += self._lost_end(number, state)
        return state, SalvagedRun(run_id, count, tuple(missing), tuple(unproven))

    def _stored(self, number: int, batch: list[Saved]) -> Iterator[dict[str, object]]:
        for record in (saved.record for saved in batch):
            yield {
                "run": number,
                "seq": record.seq,
                "kind": self._kind(record),
                "sse_id": record.sse_id,
                "data": record.data,
                "recorded_at": microseconds(record.recorded_at),
                "digest": record.digest,
            }

    def _kind(self, record: Record) -> int:
        key = (record.source, record.type)
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _lost_end(self, number: int, state: RunState) -> list[tuple[int, int | None]]:
        """What is missing at the end: as an index says, or the row, which knew of it."""
        known = self._finds.last_seqs[number]
        row = self._rows.get(number)
        beyond = self._missing and not state.settled
        if beyond or not (state.records or known) or (row and _knows_more(row, state)):
            return [(state.records + 1, None)]
        if state.records < known <= state.records + self._finds.count(number) + SAMPLE:
            return [(state.records + 1, known)]
        return []

    def _finish(
        self, number: int, row: Mapping[str, Any], state: RunState, report: SalvagedRun
    ) -> None:
        """Bring the run's row up to what its log says, and see that the run can be owned."""
        known = number in self._rows
        whole = report.whole and state.records
        values = dict(row) if known and not whole else _row_of(state, row)
        if not known:
            values["created_at"] = self._began.get(number, "")
        elif row["run_key"] is None:
            values["run_key"] = None
        key = tuple(
            values[name] for name in ("project_root", "org_slug", "project_slug", "run_key")
        )
        if key in self._keys:
            values["run_key"] = None
        self._keys.add(key)
        values |= {"id": number, "run_id": report.run_id}
        self._connection.execute(update(runs).where(runs.c.id == number).values(values))
        self._save(leases, [self._lease(number, state, settled=bool(values["settled"]))])

    def _lease(self, number: int, state: RunState, *, settled: bool) -> dict[str, object]:
        for row in self._finds.rows[leases.name]:
            if row["run"] == number and row["state"] in ("active", "idle", "released"):
                return row
        return {
            **asdict(NOBODY),
            "run": number,
            "epoch": state.records + 1,  # more than any owner has had
            "state": "released" if settled else "idle",
            "acquired_at": 0.0,
            "expires_at": 0.0,
        }

    def _save(self, table: Any, rows: Any) -> None:
        values = list(rows)
        if values:
            self._connection.execute(insert(table), values)


def _knows_more(row: Mapping[str, Any], state: RunState) -> bool:
    """Whether the run's row tells of what the log, as it was saved, has not come to."""
    ended = row["status"] in TERMINAL_STATUSES and not state.terminal
    settled = row["settled"] and not state.settled
    accepted = row["job_id"] is not None and state.job_id is None
    return bool(ended or settled or accepted)


def _keys_in(data: str) -> list[str]:
    """The run's id as its first record has it, if that is a wish."""
    record = Record("", 1, "local", SubmitRequested.TYPE, None, data, "", b"", b"")
    note = read_note(record)
    return [note.idempotency_key] if isinstance(note, SubmitRequested) else []


def _blank(number: int) -> dict[str, Any]:
    texts = {column.name: "" for column in runs.columns if not column.nullable}
    return {**dict.fromkeys(runs.columns.keys()), **texts, "id": number, "settled": False}


def _row_of(state: RunState, row: Mapping[str, Any]) -> dict[str, Any]:
    """The run's row as its log has it; `row` for what no log says."""
    wish = state.wish
    values = {**row, "run_key": getattr(wish, "run_key", None), **index_of(state)}
    if wish is not None:
        values |= {
            "project_root": wish.project_root,
            "org_slug": wish.org_slug,
            "project_slug": wish.project_slug,
        }
    if isinstance(wish, SubmitRequested):
        values |= {"fingerprint": wish.fingerprint}
    return values
