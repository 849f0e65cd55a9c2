"""Salvaging: whatever happened to the file, nothing is made up and everything missing is named."""

import random
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from arkor.core.record import Entry, Record
from arkor.errors import ConfigError, JournalCorruptError, JournalError
from arkor.store.journal import Journal
from arkor.store.pages import PAGE
from arkor.store.prune import prune_run
from arkor.store.salvage import SalvagedRun, salvage
from arkor.store.writer import Writer

Logs = Mapping[str, list[Record]]
Damage = Callable[[bytearray, random.Random], bytearray]


@pytest.fixture
def logs(writer: Writer, make_run: Callable[..., str]) -> Logs:
    """Three runs, written in turns, with records that do not fit into a page among them."""
    runs = [make_run(name=f"run {n}", run_key=f"key {n}") for n in range(3)]
    for n in range(0, 150, 10):
        for run in runs:
            events = [
                Entry("stream", "training.log", f'{{"step":{n + m}}}' + " " * m**4, str(n + m))
                for m in range(10)
            ]
            writer.append(run, events, epoch=1, durable=False)
    writer.close()
    journal = Journal(writer.path)
    found = {run: list(journal.records(run)) for run in runs}
    journal.close()
    return found


def zeroed(file: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 6)):
        page = chance.randrange(len(file) // PAGE)
        file[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    return file


def truncated(file: bytearray, chance: random.Random) -> bytearray:
    return file[: chance.randrange(4 * PAGE, len(file))]


def flipped(file: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 30)):
        file[chance.randrange(len(file))] ^= 1 << chance.randrange(8)
    return file


def beheaded(file: bytearray, chance: random.Random) -> bytearray:
    file[: chance.randint(1, 8) * PAGE] = chance.randbytes(PAGE)
    return file


def assert_honest(saved: SalvagedRun, journal: Journal, log: list[Record]) -> None:
    """What was saved is what was recorded, and what was not is named."""
    kept = {record.seq: record for record in journal.records(saved.run_id)}
    assert len(kept) == saved.records
    for record in kept.values():
        assert log[record.seq - 1].digest == record.digest
        assert log[record.seq - 1].data == record.data or record.seq in saved.unproven
    missing = {record.seq for record in log} - kept.keys()
    named = {seq for first, last in saved.missing for seq in range(first, (last or len(log)) + 1)}
    assert missing <= named <= missing | set(range(len(log) + 1, len(log) + 2))
    report = journal.verify(saved.run_id)
    if missing and min(missing) < max(kept, default=0):
        assert (report.ok, report.first_bad_seq) == (False, min(missing))
    elif kept:
        assert report.ok


@pytest.mark.parametrize("damage", [zeroed, truncated, flipped, beheaded])
def test_what_is_whole_is_saved_and_what_is_missing_named(
    writer: Writer, logs: Logs, tmp_path: Path, damage: Damage
) -> None:
    whole = writer.path.read_bytes()
    kept = 0
    for seed in range(8):
        file, new = tmp_path / f"{seed}.db", tmp_path / f"{seed}.new"
        broken = bytes(damage(bytearray(whole), random.Random(seed)))
        file.write_bytes(broken)
        report = salvage(file, new)
        assert file.read_bytes() == broken
        assert new.stat().st_mode & 0o777 == 0o600
        journal = Journal(new)
        for saved in report.runs:
            assert_honest(saved, journal, logs[saved.run_id])
            kept += saved.records
        assert {saved.run_id for saved in report.runs} == {row.run_id for row in journal.runs()}
        assert sorted(logs) == sorted(saved.run_id for saved in report.runs) or not report.whole
        journal.close()
    assert kept > 8 * 3 * 151 // 4
    assert not list(tmp_path.glob(".arkor-salvage-*"))


def test_a_whole_journal_is_saved_whole_also_what_is_in_its_log_only(
    writer: Writer, logs: Logs, tmp_path: Path
) -> None:
    run = next(iter(logs))
    (late,) = writer.append(run, [Entry("stream", "made.up", "x")], epoch=1, durable=False)
    assert writer.path.with_name("arkor.db-wal").stat().st_size > 0
    report = salvage(writer.path, tmp_path / "new.db")
    assert (report.whole, report.unclaimed, report.salt_lost) == (True, 0, False)
    old, new = Journal(writer.path), Journal(tmp_path / "new.db")
    assert new.runs() == old.runs()
    assert [new.lease(run) for run in logs] == [old.lease(run) for run in logs]
    assert list(new.records(run))[-1] == late
    assert Writer(tmp_path / "new.db").salt == writer.salt


def rows_zeroed(path: Path, table: str) -> None:
    """Zero the page that a table begins at."""
    with sqlite3.connect(path) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        ((page,),) = connection.execute(query, (table,)).fetchall()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


@pytest.mark.parametrize("table", ["runs", "kinds", "leases", "records", "alembic_version"])
def test_a_lost_table_is_made_again_from_the_logs(
    writer: Writer, logs: Logs, tmp_path: Path, table: str
) -> None:
    rows_zeroed(writer.path, table)
    report = salvage(writer.path, tmp_path / "new.db")
    journal = Journal(tmp_path / "new.db")
    for saved in report.runs:
        assert_honest(saved, journal, logs[saved.run_id])
    rows = {row.run_id: row for row in journal.runs()}
    assert [rows[run].name for run in logs] == ["run 0", "run 1", "run 2"]
    assert [rows[run].run_key for run in logs] == ["key 0", "key 1", "key 2"]
    assert all(row.created_at == logs[run][0].recorded_at for run, row in rows.items())
    new = Writer(tmp_path / "new.db")
    for run in logs:
        lease = journal.lease(run)
        assert lease is not None
        new.append(run, [Entry("stream", "training.log", "{}")], epoch=lease.epoch, durable=False)
    if table != "records":
        assert report.whole
        assert all(journal.verify(run).ok for run in logs)


def test_a_pruned_run_stays_pruned(writer: Writer, logs: Logs, tmp_path: Path) -> None:
    run = next(iter(logs))
    writer.append(run, [], epoch=1, durable=True, index={"settled": True})
    writer.release(run, 1)
    with writer.transaction(durable=True) as tx:
        stone = prune_run(tx, run)
    writer.close()
    report = salvage(writer.path, tmp_path / "new.db")
    journal = Journal(tmp_path / "new.db")
    assert report.whole
    assert journal.row(run).pruned
    assert journal.tombstone(run) == stone


def test_it_replaces_nothing_and_makes_nothing_of_nothing(
    writer: Writer, logs: Logs, tmp_path: Path
) -> None:
    there = tmp_path / "there.db"
    there.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="there already"):
        salvage(writer.path, there)
    (tmp_path / "noise.db").write_bytes(random.Random(0).randbytes(20 * PAGE))
    with pytest.raises(JournalCorruptError, match="take a backup"):
        salvage(tmp_path / "noise.db", tmp_path / "new.db")
    with pytest.raises(JournalError, match="No such file"):
        salvage(tmp_path / "none.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    assert there.read_bytes() == b"mine"
