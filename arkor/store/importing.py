"""Taking an exported log into the journal, with the digests that it had."""

import marshal
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, Literal

from sqlalchemy import Connection, insert, select

from arkor.core.fold import Folding
from arkor.core.notes import Attached, Resumed, SubmitRequested, read_note
from arkor.core.record import Record, Source
from arkor.core.spec import fingerprint
from arkor.core.state import RunState
from arkor.errors import JournalError
from arkor.store.export_reader import read_exported
from arkor.store.owner import Owner
from arkor.store.prune import read_tombstone, restore_run
from arkor.store.runs import index_of
from arkor.store.schema import leases, records, runs
from arkor.store.transaction import Transaction
from arkor.store.writer import Writer

__all__ = ["ImportedRun", "import_run"]

BATCH: Final = 1000
BATCH_BYTES: Final = 4_000_000
"""How much is inserted at a time: as much is in memory."""


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run that is in the journal as it was in the file; `head` is its last record's digest.

    `outcome` says what that took: it was `imported`, a pruned one was `restored`, or its log was
    there `already`.
    """

    run_id: str
    records: int
    head: bytes
    outcome: Literal["imported", "restored", "already"]


@dataclass(frozen=True, slots=True)
class _Survey:
    """What the log in a file adds up to; `epoch` is that of its last owner."""

    state: RunState
    created_at: str
    epoch: int


def import_run(writer: Writer, file: BinaryIO, name: str) -> ImportedRun:
    """Write the run of an export in JSON lines, whole or not at all; `name` is the file's.

    The file is read to its end, checked, and kept in a temporary one before the journal is
    opened, so no other writer waits for a file that is slow or broken. What came from a file is
    nobody's to go on with: `start` and `resume_orphaned` leave it alone, and its key stays free.
    Raises `JournalError` if the file is no whole log, or is not the one that the journal has of
    that run: then nothing was written.
    """
    with TemporaryFile(prefix="arkor-") as kept:
        survey = _survey(file, name, kept)
        state = survey.state
        with writer.transaction(durable=True) as tx:
            outcome = _make_room(tx, survey, name)
            if outcome != "already":
                for batch in _read_kept(kept, state.run_id):
                    tx.restore(state.run_id, batch)
    return ImportedRun(state.run_id, state.records, state.head, outcome)


_RUN_ID: Final = re.compile("[0-9A-Z-]{1,64}")


def _survey(file: BinaryIO, name: str, kept: BinaryIO) -> _Survey:
    folding, created_at, epoch = Folding(), "", 1
    for batch in _batches(read_exported(file, name)):
        if batch[0].seq == 1:
            _check_beginning(batch[0], name)
            created_at = batch[0].recorded_at
        for record in batch:
            epoch += record.type == Resumed.TYPE
            folding.add(record)
        _keep(kept, batch)
    return _Survey(folding.state, created_at, epoch)


def _check_beginning(record: Record, name: str) -> None:
    if not _RUN_ID.fullmatch(record.run_id):
        raise JournalError(f"{name} cannot be imported: its `runId` is no run's id", path=name)
    if not isinstance(read_note(record), SubmitRequested | Attached):
        raise JournalError(
            f"{name} cannot be imported: its first record says neither that a run was wished "
            "for nor that one was taken over, so it is no run's log",
            path=name,
        )


def _batches(log: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in log:
        batch.append(record)
        size += len(record.data)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_FIELDS: Final = attrgetter("seq", "source", "type", "sse_id", "data", "recorded_at", "digest")


def _keep(kept: BinaryIO, batch: list[Record]) -> None:
    try:
        marshal.dump(list(map(_FIELDS, batch)), kept)
    except OSError as error:
        raise JournalError(
            f"no room to keep what is imported while it is checked: {error.strerror}; nothing was "
            "imported. TMPDIR names the folder that is used"
        ) from error


def _read_kept(kept: BinaryIO, run_id: str) -> Iterator[list[Record]]:
    size = kept.tell()
    kept.seek(0)
    while kept.tell() < size:
        # Nobody else has this file: it has no name.
        batch = marshal.load(kept)  # noqa: S302
        yield [_record(run_id, *fields) for fields in batch]


def _record(
    run_id: str,
    seq: int,
    source: Source,
    type: str,
    sse_id: str | None,
    data: str,
    recorded_at: str,
    digest: bytes,
) -> Record:
    return Record(run_id, seq, source, type, sse_id, data, recorded_at, b"", digest)


def _make_room(
    tx: Transaction, survey: _Survey, name: str
) -> Literal["imported", "restored", "already"]:
    """Make the run's row, or find it, so that its records can follow where they are missing."""
    state = survey.state
    known = next(iter(tx.find_runs(run_id=state.run_id)), None)
    if known is None:
        _make_row(tx, survey)
        return "imported"
    stone = read_tombstone(tx.connection, state.run_id)
    if stone is not None and (stone.records, stone.head) == (state.records, state.head):
        restore_run(tx, state.run_id)
        return "restored"
    if stone is None and _digest(tx.connection, state.run_id, state.records) == state.head:
        return "already"
    here = "was pruned with another head" if stone else "has another log"
    raise JournalError(
        f"run {state.run_id} is in the journal, where it {here} than {name}; nothing was changed. "
        "`ARKOR_HOME=FOLDER arkor import` reads a file into a journal of its own",
        path=name,
    )


def _digest(connection: Connection, run_id: str, seq: int) -> bytes | None:
    query = select(records.c.digest).join(runs, runs.c.id == records.c.run)
    query = query.where(runs.c.run_id == run_id, records.c.seq == seq)
    return connection.execute(query).scalar()


def _make_row(tx: Transaction, survey: _Survey) -> None:
    state, wish = survey.state, survey.state.wish
    assert wish is not None, "a log that does not begin with one is refused"
    row = {
        "run_id": state.run_id,
        "created_at": survey.created_at,
        "imported_at": tx.recorded_at,
        "project_root": wish.project_root,
        "org_slug": wish.org_slug,
        "project_slug": wish.project_slug,
        "fingerprint": _fingerprint(state),
        **index_of(state),
    }
    stored = {
        name: _text(value) if isinstance(value, str) else value for name, value in row.items()
    }
    made = tx.connection.execute(insert(runs).values(**stored))
    (run,) = made.inserted_primary_key or (0,)
    tx.connection.execute(insert(leases).values(run=run, **_lease(survey)))


def _fingerprint(state: RunState) -> str:
    wish = state.wish
    if wish is None or isinstance(wish, Attached):
        return fingerprint(state.config)
    return wish.fingerprint


def _lease(survey: _Survey) -> dict[str, Any]:
    """That of a process which is gone, and which left a run that has not ended in mid-call."""
    host, pid = (survey.state.provenance.get(name) for name in ("host", "pid"))
    owner = Owner(
        host=_text(host) if isinstance(host, str) else "",
        boot_id="",
        pid_ns="",
        pid=pid if isinstance(pid, int) and 0 < pid < 2**31 else 0,
        process_start="",
    )
    state = "released" if survey.state.settled else "active"
    times = {"acquired_at": 0.0, "expires_at": 0.0}
    return {**asdict(owner), **times, "epoch": survey.epoch, "state": state}


def _text(text: str) -> str:
    # JSON's escapes can smuggle a lone surrogate into a name, and no database stores one.
    return text.encode("utf-8", "replace").decode()
