"""Opening the journal: at once, again, after a fork, from another time."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from arkor.core.record import Entry
from arkor.errors import JournalCorruptError, JournalError, JournalTooNewError
from arkor.store.database import ReadDoor, WriteDoor
from arkor.store.journal import Journal
from arkor.store.migrate import migrations_folder, revisions
from arkor.store.schema import metadata
from arkor.store.writer import Writer

# Python 3.12 warns of any fork beside threads, as those of pytest's own plugins are.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

EVENT = Entry("stream", "training.log", "{}")

OPEN = """
import sys
from pathlib import Path
from arkor.store.writer import *; from arkor.store.lease import current_owner; from arkor.core.record import Entry
sys.stdin.readline()
w = Writer(Path(sys.argv[1]))
row = NewRun(name=sys.argv[2], project_root="", org_slug="", project_slug="", fingerprint="")
with w.transaction(durable=True) as tx:
    run = tx.create_run(row, [Entry("local", "arkor.x", "{}")], current_owner())
for n in range(20):
    w.append(run.run_id, [Entry("stream", "x", "{}")], epoch=1, durable=n % 2 == 0)
"""

NEWEST = revisions(migrations_folder())[-1]

NEXT = f'''
"""The next schema."""
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9000", "{NEWEST}"
def upgrade() -> None:
    op.add_column("runs", sa.Column("colour", sa.Text()))
    op.create_table("things", sa.Column("id", sa.Integer(), primary_key=True))
'''


@pytest.fixture
def future(tmp_path: Path) -> Path:
    """The migrations, with one more."""
    folder = Path(shutil.copytree(migrations_folder(), tmp_path / "100% migrations"))
    (folder / "versions" / "9000_next.py").write_text(NEXT)
    return folder


def touch(door: WriteDoor) -> None:
    with door.transaction(durable=True):
        pass


def revision(path: Path) -> str:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    connection.close()
    return str(found)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_migrations_make_the_declared_schema(writer: Writer) -> None:
    with writer.transaction(durable=False) as tx:
        context = MigrationContext.configure(tx.connection)
        assert compare_metadata(context, metadata) == []
        assert tx.connection.execute(text("PRAGMA foreign_key_check")).all() == []
    for kind in ("table", "index"):
        assert declared(kind) == made(writer.path, kind)


def declared(kind: str) -> set[str]:
    if kind == "table":
        return set(metadata.tables)
    return {str(index.name) for table in metadata.tables.values() for index in table.indexes}


def made(path: Path, kind: str) -> set[str]:
    connection = sqlite3.connect(path)
    query = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite%'"
    found = {row[0] for row in connection.execute(query, (kind,))} - {"alembic_version"}
    connection.close()
    return found


def test_it_is_private_and_its_settings_are_ours(writer: Writer) -> None:
    assert writer.salt
    assert writer.path.parent.stat().st_mode & 0o777 == 0o700
    for file in writer.path.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    with writer.transaction(durable=True) as tx:
        assert tx.connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert tx.connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert tx.connection.execute(text("PRAGMA wal_autocheckpoint")).scalar() == 0
    with writer.transaction(durable=False) as tx:
        assert tx.connection.execute(text("PRAGMA synchronous")).scalar() == 1


def test_eight_processes_open_a_new_journal_at_once(
    tmp_path: Path, start: Callable[..., object]
) -> None:
    path = tmp_path / "store" / "arkor.db"
    children = [start(OPEN, path, n) for n in range(8)]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said
    journal = Journal(path)
    assert {row.name for row in journal.runs()} == {str(n) for n in range(8)}
    for row in journal.runs():
        assert [record.seq for record in journal.records(row.run_id)] == list(range(1, 22))


def test_a_newer_journal_is_refused_and_left_as_it_was(writer: Writer) -> None:
    with writer.transaction(durable=True) as tx:
        tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    writer.close()
    before = digest(writer.path)
    for use in (lambda: Writer(writer.path).salt, lambda: Journal(writer.path).runs()):
        with pytest.raises(JournalTooNewError, match=rf"schema 9999.*up to {NEWEST}.*pip install"):
            use()
    assert digest(writer.path) == before


def test_an_older_journal_is_migrated_after_a_copy(
    writer: Writer, make_run: Callable[..., str], future: Path
) -> None:
    run = make_run()
    writer.close()
    opened = WriteDoor(writer.path, migrations=future)
    with opened.transaction(durable=True) as connection:
        found = connection.execute(text("SELECT run_id, colour FROM runs")).all()
    opened.close()
    assert [tuple(row) for row in found] == [(run, None)]
    copy = writer.path.with_name(f"arkor.db.{NEWEST}")
    assert (revision(writer.path), revision(copy)) == ("9000", NEWEST)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [row.run_id for row in Journal(copy).runs()] == [run]


AWAY = """
import sys; from pathlib import Path
from arkor.core.record import Entry; from arkor.store.writer import Writer
w = Writer(Path(sys.argv[1])); w.append(sys.argv[2], [Entry("local", "arkor.x", "{}")], epoch=None, durable=True); w.close()
"""


def test_reading_takes_no_lock_off_the_writer_of_the_same_process(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run()
    for count in (2, 4):
        journal = Journal(writer.path)  # opens the file anew, and closes it
        assert len(journal.runs()) == 1
        journal.close()
        # Without our lock this one would be the last to close, and remove the log we write to.
        away = start(AWAY, writer.path, run)
        assert away.communicate(timeout=60) == ("", "")
        writer.append(run, [EVENT], epoch=1, durable=True)
        assert [record.seq for record in Journal(writer.path).records(run)][-1] == count + 1
    assert Journal(writer.path).verify(run).ok


def test_a_reader_migrates_a_private_copy(
    writer: Writer, make_run: Callable[..., str], future: Path
) -> None:
    opened = ReadDoor(writer.path, migrations=future)
    made = []
    for _ in range(2):
        made.append(make_run())
        with opened.connect() as connection:
            found = connection.execute(text("SELECT run_id, colour FROM runs ORDER BY id")).all()
        assert [tuple(row) for row in found] == [(run, None) for run in made]
    opened.close()
    writer.close()
    assert revision(writer.path) == NEWEST
    assert {path.name for path in writer.path.parent.iterdir()} == {"arkor.db", "arkor.db.lock"}


def test_the_copy_before_a_migration_is_durable(
    writer: Writer, make_run: Callable[..., str], future: Path
) -> None:
    make_run()
    writer.close()
    synced: list[str] = []

    def watch(frame: object, event: str, called: object) -> None:
        if event == "c_call" and called in (os.replace, os.fsync):
            synced.append(getattr(called, "__name__", ""))

    sys.setprofile(watch)
    try:
        touch(WriteDoor(writer.path, migrations=future))
    finally:
        sys.setprofile(None)
    assert synced[:2] == ["replace", "fsync"]


def test_a_migration_that_fails_changes_nothing(
    writer: Writer, make_run: Callable[..., str], future: Path
) -> None:
    make_run()
    writer.close()
    last = future / "versions" / "9000_next.py"
    last.write_text(last.read_text() + "    op.execute('SELECT * FROM nowhere')\n")
    door = WriteDoor(writer.path, migrations=future)
    with pytest.raises(JournalError, match="nowhere"):
        touch(door)
    assert revision(writer.path) == NEWEST
    assert "things" not in made(writer.path, "table")
    assert len(Journal(writer.path).runs()) == 1


def test_the_newest_migration_is_known_without_importing_alembic(
    writer: Writer, start: Callable[..., object]
) -> None:
    assert writer.salt
    program = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.journal import Journal
Writer(Path(sys.argv[1])).salt; Journal(Path(sys.argv[1])).runs()
print("alembic" in sys.modules)
"""
    out, said = start(program, writer.path).communicate(timeout=60)
    assert (out, said) == ("False\n", "")


def test_the_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "arkor.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = digest(path)
    for use in (lambda: Writer(path).salt, lambda: Journal(path).runs()):
        with pytest.raises(JournalError, match="no journal of Arkor's"):
            use()
    assert digest(path) == before


@pytest.mark.parametrize(
    "damage", [b"not a database at all" * 300, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "arkor.db"
    path.write_bytes(damage)
    for use in (lambda: Writer(path).salt, lambda: Journal(path).runs()):
        with pytest.raises(JournalCorruptError, match="arkor store salvage"):
            use()
    assert path.read_bytes() == damage


def test_a_damaged_page_is_found_when_it_is_read(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    writer.append(run, [Entry("stream", "x", "y" * 500)] * 200, epoch=1, durable=True)
    writer.close()
    with writer.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(20, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises(JournalCorruptError):
        list(Journal(writer.path).records(run))


def test_a_file_that_was_removed_takes_no_more_writes(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    for suffix in ("", "-wal", "-shm"):
        writer.path.with_name(f"arkor.db{suffix}").unlink()
    for goes_on in (writer.append, writer.renew, writer.set_idle, writer.release):
        given = {"entries": [EVENT], "durable": True} if goes_on == writer.append else {}
        with pytest.raises(JournalError, match=r"no journal .* put it back"):
            goes_on(run, epoch=1, **given)  # type: ignore[operator]
    assert not writer.path.exists()
    assert make_run()


def test_the_folder_of_a_journal_that_vanished_is_not_made_again(
    writer: Writer, make_run: Callable[..., str], tmp_path: Path
) -> None:
    run = make_run()
    writer.path.parent.rename(tmp_path / "moved")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"no journal .* put it back"):
            writer.renew(run, 1)
    assert not writer.path.parent.exists()
    (tmp_path / "moved").rename(writer.path.parent)
    writer.renew(run, 1)
    assert writer.append(run, [EVENT], epoch=1, durable=True)[0].seq == 2


def test_a_file_that_was_replaced_takes_no_more_writes(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    other = Writer(writer.path.with_name("other.db"))
    assert other.salt
    other.close()
    other.path.rename(writer.path)
    for suffix in ("-wal", "-shm"):
        writer.path.with_name(f"arkor.db{suffix}").unlink()
    with pytest.raises(JournalError, match="removed or replaced"):
        writer.append(run, [EVENT], epoch=1, durable=True)
    with pytest.raises(JournalError, match="no run"):
        writer.append(run, [EVENT], epoch=1, durable=True)


def test_a_forked_child_has_connections_of_its_own(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    journal = Journal(writer.path)
    assert journal.runs()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(25):
                    writer.append(run, [EVENT], epoch=1, durable=True)
                    journal.lease(run)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for _ in range(25):
        writer.append(run, [EVENT], epoch=1, durable=True)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert [record.seq for record in journal.records(run)] == list(range(1, 127))


def test_a_child_may_be_forked_while_other_threads_read_and_write(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    journal = Journal(writer.path)
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            with writer.transaction(durable=False) as tx:
                tx.append(run, [EVENT], epoch=1)
                assert journal.lease(run) is not None

    def read() -> None:
        while not enough.is_set():
            for _ in journal.records(run):
                pass

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                writer.append(run, [EVENT], epoch=1, durable=True)
                assert len(list(journal.records(run))) >= 2
                code = 0
            finally:
                os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    enough.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 10
    seqs = [record.seq for record in journal.records(run)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 10


def test_who_holds_the_lock_is_named(writer: Writer, start: Callable[..., object]) -> None:
    program = """
import sys; from pathlib import Path
from arkor.store.writer import Writer
with Writer(Path(sys.argv[1])).transaction(durable=True):
    print("in", flush=True); sys.stdin.read()
"""
    assert writer.salt
    child = start(program, writer.path)
    with child:
        assert child.stdout.readline() == "in\n"
        door = WriteDoor(writer.path, timeout=0.05)
        with pytest.raises(JournalError, match=f"locked by process {child.pid} on .* for 0.05 s"):
            touch(door)
        assert Journal(writer.path).runs() == []
        child.kill()
    touch(door)
    door.close()


def test_a_network_filesystem_is_noticed(writer: Writer, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    place = str(writer.path.parent).replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n"
        f"30 22 0:40 / {place} rw shared:2 - nfs4 server:/home rw\n"
    )
    door = WriteDoor(writer.path, mounts=mounts)
    with pytest.warns(UserWarning, match=r"nfs4.*ARKOR_HOME"):
        touch(door)
    with door.transaction(durable=True) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "delete"
        for statement in (
            "UPDATE meta SET value = 'elsewhere' WHERE key = 'host'",
            "INSERT INTO runs VALUES (1, 'R', 'n', NULL, '', '', '', '', NULL, '', 'running', 0, NULL)",
            "INSERT INTO leases VALUES (1, 1, 'active', 'elsewhere', '', '', 1, '', 0, 9e9)",
        ):
            connection.execute(text(statement))
    door.close()
    with pytest.raises(JournalError, match="in use by host elsewhere"):
        touch(door)
