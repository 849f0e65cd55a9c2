"""Letting old runs go: which ones, archived first, whatever kills it half-way."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arkor.core.fold import fold_all
from arkor.core.notes import SubmitRefused, SubmitRequested, entry_of
from arkor.core.record import Entry, Record
from arkor.errors import ConfigError, RunPrunedError
from arkor.runner.retention import Retention, archive_run, prunable, prune
from arkor.store.importing import import_run
from arkor.store.journal import Journal, open_journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun, index_of
from arkor.store.writer import Writer, open_writer

ROOT = Path(__file__).parents[2]
EVERYTHING = Retention(older_than=timedelta(0), keep_last=0)
LATER = datetime.now(UTC) + timedelta(days=1)

KILLED_AT = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from arkor.runner.retention import Retention, prunable, prune
from arkor.store.journal import open_journal
from arkor.store.writer import open_writer

def die(frame, event, argument, wanted=sys.argv[2]):
    if event == "call" and frame.f_code.co_qualname == wanted:
        os.kill(os.getpid(), signal.SIGKILL)

book = open_journal()
rows = prunable(book, Retention(older_than=timedelta(0), keep_last=0))
sys.setprofile(die)
for row in rows:
    prune(open_writer(), book, row, Path(sys.argv[1]))
"""


def make_run(writer: Writer, *, ended: bool = True, **fields: str) -> str:
    place = {"project_root": "/p", "org_slug": "o", "project_slug": "p", "fingerprint": "f"}
    row = NewRun(**{"name": "a run/of mine", **place, **fields})
    wish = SubmitRequested(
        name=row.name,
        config={},
        fingerprint="f",
        idempotency_key=row.run_id,
        base_url="local",
        org_slug=row.org_slug,
        project_slug=row.project_slug,
        project_root=row.project_root,
        run_key=row.run_key,
    )
    with writer.transaction(durable=True) as tx:
        tx.create_run(row, [entry_of(wish)], current_owner())
    if ended:
        events = [Entry("stream", "training.log", f'{{"step":{n}}}', str(n)) for n in range(50)]
        refused = entry_of(SubmitRefused(400, "no"))
        writer.append(row.run_id, [*events, refused], epoch=1, durable=True)
        index = index_of(fold_all(Journal(writer.path).records(row.run_id)))
        writer.append(row.run_id, [], epoch=1, durable=True, index=index)
        writer.release(row.run_id, 1)
    return row.run_id


@pytest.fixture
def writer(home: Path) -> Writer:
    return open_writer()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


def log_of(run: str) -> list[Record]:
    return list(open_journal().records(run))


def test_the_newest_of_each_project_and_the_unfinished_stay(writer: Writer) -> None:
    mine = [make_run(writer) for _ in range(4)]
    others = [make_run(writer, project_root="/q") for _ in range(2)]
    make_run(writer, ended=False)
    book = open_journal()
    policy = Retention(older_than=timedelta(hours=1), keep_last=2)
    assert prunable(book, policy) == []
    assert [row.run_id for row in prunable(book, policy, now=LATER)] == mine[:3]
    found = prunable(book, EVERYTHING, project_root="/q", now=LATER)
    assert [row.run_id for row in found] == others
    with pytest.raises(ConfigError, match="keep_last"):
        Retention(older_than=timedelta(0), keep_last=-1)


def test_an_archive_brings_the_run_back_as_it_was(writer: Writer, archive: Path) -> None:
    run = make_run(writer)
    log, row = log_of(run), open_journal().row(run)
    stone = prune(writer, open_journal(), row, archive).tombstone
    assert stone is not None
    assert (stone.records, stone.head) == (len(log), log[-1].digest)
    (file,) = archive.iterdir()
    assert (str(file), file.name) == (stone.archive, f"{run}-a-run-of-mine.jsonl.zst")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RunPrunedError):
        log_of(run)
    with file.open("rb") as stream:
        assert import_run(writer, stream, file.name).outcome == "restored"
    assert log_of(run) == log
    assert open_journal().row(run) == row


@pytest.mark.parametrize(
    "point",
    [
        "write_archive",
        "Journal.records",
        "check_archive",
        "sync_folder",
        "prune_run",
        "WriteDoor.wrote",
    ],
)
def test_killed_anywhere_it_can_be_done_again(writer: Writer, archive: Path, point: str) -> None:
    runs = [make_run(writer) for _ in range(2)]
    logs = {run: log_of(run) for run in runs}
    writer.close()
    command = [sys.executable, "-c", KILLED_AT, str(archive), point]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, f"it was not killed at {point}: {done.stderr}"
    assert {run: log_of(run) for run in runs} == logs
    book = open_journal()
    for row in prunable(book, EVERYTHING):
        assert prune(writer, book, row, archive).tombstone
    assert len(list(archive.iterdir())) == 2
    for file in archive.iterdir():
        with file.open("rb") as stream:
            import_run(writer, stream, file.name)
    assert {run: log_of(run) for run in runs} == logs


def test_an_archive_that_is_there_is_taken_and_a_shorter_one_replaced(
    writer: Writer, archive: Path
) -> None:
    run, book = make_run(writer), open_journal()
    row = book.row(run)
    first = archive_run(book, row, archive)
    inode = first.path.stat().st_ino
    assert archive_run(book, row, archive) == first
    assert first.path.stat().st_ino == inode
    writer.append(run, [Entry("local", "arkor.cancel.requested", "{}")], epoch=None, durable=True)
    again = archive_run(book, row, archive)
    assert (again.records, again.path) == (first.records + 1, first.path)


def test_what_is_not_whole_or_in_the_way_keeps_a_run_in_the_journal(
    writer: Writer, archive: Path
) -> None:
    run, book = make_run(writer), open_journal()
    row = book.row(run)
    path = archive_run(book, row, archive).path
    path.write_bytes(path.read_bytes()[:-20])
    verdict = prune(writer, book, row, archive)
    assert verdict.tombstone is None
    assert str(path) in str(verdict.problem)
    path.unlink()
    log = log_of(run)
    with writer.transaction(durable=True) as tx:
        tx.connection.exec_driver_sql("UPDATE records SET data = '{}' WHERE seq = 7")
    verdict = prune(writer, book, row, archive)
    assert (verdict.tombstone, len(log_of(run))) == (None, len(log))
    assert "record 7" in str(verdict.problem)
