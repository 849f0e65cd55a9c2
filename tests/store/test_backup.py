"""Backups, taken beside a writer that goes on."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from arkor.core.record import Entry
from arkor.errors import ConfigError, JournalError
from arkor.store.backup import backup_journal
from arkor.store.check import check_journal, repair_index
from arkor.store.journal import Journal
from arkor.store.snapshots import keep_snapshot
from arkor.store.writer import Writer

APPEND = """
import sys; from pathlib import Path
from arkor.core.record import Entry; from arkor.store.writer import Writer
writer, n = Writer(Path(sys.argv[1])), 0
while True:
    for run in sys.argv[2:]:
        entries = [Entry("stream", "training.log", f'{{"step":{n}}}', str(n)) for _ in range(20)]
        writer.append(run, entries, epoch=1, durable=False)
    n += 1
    print(n, flush=True)
"""

Make = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]


def test_a_backup_beside_a_writer_is_one_whole_state(
    writer: Writer, make_run: Make, start: Start, tmp_path: Path
) -> None:
    runs = [make_run() for _ in range(3)]
    writer.close()
    journal = Journal(writer.path)
    with start(APPEND, writer.path, *runs) as child:
        assert child.stdout is not None
        seen = 0
        for n in range(5):
            while seen < (n + 1) * 20:
                seen = int(child.stdout.readline())
            copy = tmp_path / f"{n}.db"
            assert backup_journal(writer.path, copy) == copy.stat().st_size
            assert copy.stat().st_mode & 0o777 == 0o600
            saved = Journal(copy)
            lengths = [len(list(saved.records(run))) for run in runs]
            assert min(lengths) >= seen * 20 - 20
            assert list(check_journal(copy)) == []
            saved.close()
        assert child.poll() is None
        child.kill()
    assert sorted(tmp_path.glob("*.db*")) == [tmp_path / f"{n}.db" for n in range(5)]
    assert all(journal.verify(run).ok for run in runs)


def test_an_earlier_backup_is_replaced_and_nothing_else(
    writer: Writer, make_run: Make, tmp_path: Path
) -> None:
    run, copy = make_run(), tmp_path / "copy.db"
    backup_journal(writer.path, copy)
    writer.append(run, [Entry("local", "x", "")], epoch=1, durable=True)
    backup_journal(writer.path, copy)
    assert len(list(Journal(copy).records(run))) == 2
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear")
    for target, why in (
        (letter, "no backup"),
        (writer.path, "the journal itself"),
        (tmp_path / "none" / "copy.db", "no folder"),
    ):
        with pytest.raises(ConfigError, match=why):
            backup_journal(writer.path, target)
    assert letter.read_text() == "Dear"
    with pytest.raises(JournalError, match="no journal"):
        backup_journal(tmp_path / "none.db", copy)
    assert len(list(Journal(copy).records(run))) == 2


def tampered(writer: Writer, statement: str, *values: object) -> None:
    writer.close()
    with sqlite3.connect(writer.path) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "subject", "problem"),
    [
        ("UPDATE records SET data = 'y' WHERE seq = 2", "chain", "changed"),
        ("DELETE FROM records", "chain", "empty"),
        ("UPDATE runs SET name = 'other'", "index", "name is 'other', and its log says 'run'"),
        ("DELETE FROM leases", "orphan", "no lease"),
        ("DELETE FROM runs", "orphan", "1 rows of leases are of run number 1"),
        ("DELETE FROM meta", "file", "salt"),
        ("UPDATE snapshots SET state = state || ' '", "index", "damaged"),
        ("UPDATE snapshots SET seq = 9", "index", "not there"),
        ("UPDATE snapshots SET seq = 3", "index", "not what the log adds up to"),
    ],
)
def test_what_is_wrong_is_found(
    writer: Writer, make_run: Make, statement: str, subject: str, problem: str
) -> None:
    entries = [Entry("local", "x", str(n)) for n in range(3)]
    run = make_run()
    writer.append(run, entries, epoch=1, durable=True)
    with writer.transaction(durable=True) as tx:
        keep_snapshot(tx, Journal(writer.path).fold(run))
    assert list(check_journal(writer.path)) == []
    tampered(writer, statement)
    found = list(check_journal(writer.path))
    assert any(each.subject == subject and problem in each.problem for each in found), found


def test_rows_without_a_run_are_listed_once_and_their_run_named_where_that_is_proved(
    writer: Writer, make_run: Make
) -> None:
    first, second = make_run("first"), make_run("second")
    tampered(writer, "UPDATE records SET data = replace(data, 'second', 'third')")
    tampered(writer, "DELETE FROM runs")
    found = list(check_journal(writer.path))
    assert {each.subject for each in found} == {"orphan"}
    assert len({each.problem for each in found}) == len(found) == 4
    assert [each.run_id for each in found if "of records" in each.problem] == [first, None]
    assert second


def test_states_that_are_not_those_of_the_log_are_gone_with_the_repair(
    writer: Writer, make_run: Make
) -> None:
    run = make_run()
    writer.append(run, [Entry("local", "x", "1")], epoch=1, durable=True)
    journal = Journal(writer.path)
    with writer.transaction(durable=True) as tx:
        keep_snapshot(tx, journal.fold(run))
    tampered(writer, "UPDATE snapshots SET seq = 1")
    assert [each.seq for each in check_journal(writer.path)] == [1]
    with writer.transaction(durable=True) as tx:
        repair_index(tx, journal, run)
    assert list(check_journal(writer.path)) == []


def test_a_damaged_page_is_a_finding_and_no_crash(writer: Writer, make_run: Make) -> None:
    writer.append(make_run(), [Entry("local", "x", "y" * 500)] * 100, epoch=1, durable=True)
    writer.close()
    with writer.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    assert "file" in {each.subject for each in check_journal(writer.path)}
