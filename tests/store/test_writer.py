"""Appending: chained, gap-free, all or none, by the owner only."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from arkor.core.record import Entry, Record
from arkor.errors import JournalError, RunOwnedError
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.writer import NewRun, Writer, open_writer


def event(n: int) -> Entry:
    return Entry("stream", "training.log", f'{{"step":{n},"note":"ü"}}', str(n))


def recomputed(records: list[Record]) -> bytes:
    digest = bytes(32)
    for seq, r in enumerate(records, 1):
        form = b""
        for field in (r.run_id, str(seq), r.source, r.type, r.sse_id, r.recorded_at, r.data):
            raw = (field or "").encode()
            form += b"\xff" * 8 if field is None else len(raw).to_bytes(8, "big") + raw
        assert (r.seq, r.prev_digest) == (seq, digest)
        digest = hashlib.sha256(digest + form).digest()
        assert r.digest == digest
    return digest


def test_records_are_chained_and_read_back_as_they_were_returned(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    first = writer.append(run, [event(1), event(2)], epoch=1, durable=True)
    second = writer.append(run, [event(3)], epoch=1, durable=False)
    read = list(Journal(writer.path).records(run))
    assert read[1:] == first + second
    assert [record.sse_id for record in read] == [None, "1", "2", "3"]
    assert recomputed(read) == second[-1].digest


def test_the_file_alone_is_enough_to_recompute_the_chain(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    writer.append(run, [event(n) for n in range(5)], epoch=1, durable=True)
    time = (
        "strftime('%Y-%m-%dT%H:%M:%S', recorded_at / 1000000, 'unixepoch')"
        " || printf('.%06dZ', recorded_at % 1000000)"
    )
    tables = "records JOIN runs ON runs.id = records.run JOIN kinds ON kinds.id = records.kind"
    columns = f"run_id, seq, source, type, sse_id, {time}, data, digest"
    query = f"SELECT {columns} FROM {tables} ORDER BY seq"
    digest = bytes(32)
    connection = sqlite3.connect(writer.path)
    for *fields, kept in connection.execute(query):
        form = b""
        for field in fields:
            raw = str(field).encode()
            form += b"\xff" * 8 if field is None else len(raw).to_bytes(8, "big") + raw
        digest = hashlib.sha256(digest + form).digest()
        assert digest == kept
    connection.close()


def test_an_append_of_nothing_records_nothing(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    assert writer.append(run, [], epoch=1, durable=True) == []
    assert len(list(Journal(writer.path).records(run))) == 1


def test_an_exception_undoes_the_whole_transaction(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    with pytest.raises(ZeroDivisionError), writer.transaction(durable=True) as tx:
        tx.append(run, [event(1)], epoch=1, index={"status": "running"})
        raise ZeroDivisionError
    journal = Journal(writer.path)
    assert len(list(journal.records(run))) == 1
    assert journal.row(run).status == "submitting"
    assert writer.append(run, [event(1)], epoch=1, durable=True)[0].seq == 2


def test_the_row_follows_the_log(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    index = {"job_id": "j-1", "status": "completed", "settled": True}
    writer.append(run, [event(1)], epoch=1, durable=True, index=index)
    writer.append(run, [event(2)], epoch=1, durable=True, index=index)
    row = Journal(writer.path).row("j-1")
    assert (row.run_id, row.status, row.settled) == (run, "completed", True)


def test_an_owner_that_was_replaced_is_fenced(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    writer.set_idle(run, 1)
    with writer.transaction(durable=True) as tx:
        assert tx.take_lease(run, current_owner(), adopt="idle") == 2
    with pytest.raises(RunOwnedError, match="taken over by process") as caught:
        writer.append(run, [event(1)], epoch=1, durable=True)
    assert (caught.value.run_id, caught.value.pid) == (run, current_owner().pid)
    assert len(list(Journal(writer.path).records(run))) == 1
    for refused in (writer.renew, writer.set_idle, writer.set_active, writer.release):
        with pytest.raises(RunOwnedError):
            refused(run, 1)


def test_anybody_may_leave_a_note(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    note = Entry("local", "arkor.cancel.requested", "{}")
    assert writer.append(run, [note], epoch=None, durable=True)[0].seq == 2
    assert writer.append(run, [event(1)], epoch=1, durable=True)[0].seq == 3


def test_an_unknown_run_is_named(writer: Writer, make_run: Callable[..., str]) -> None:
    make_run()
    with pytest.raises(JournalError, match="no run NOPE"):
        writer.append("NOPE", [event(1)], epoch=1, durable=True)
    with pytest.raises(JournalError, match="no run NOPE"):
        writer.renew("NOPE", 1)


def test_a_run_key_names_one_run_of_a_project(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run(run_key="nightly")
    make_run(run_key="nightly", project_slug="other")
    make_run()
    make_run()
    with pytest.raises(JournalError, match="UNIQUE"):
        make_run(run_key="nightly")
    with writer.transaction(durable=False) as tx:
        assert [row.run_id for row in tx.find_runs(run_key="nightly", project_slug="p")] == [run]
        assert len(tx.find_runs(fingerprint="f", settled=False)) == 4


def test_looking_and_making_is_one_step(writer: Writer, make_run: Callable[..., str]) -> None:
    make_run()

    def find_or_make() -> None:
        with writer.transaction(durable=True) as tx:
            if not tx.find_runs(name="only one"):
                place = {"project_root": "/p", "org_slug": "o", "project_slug": "p"}
                tx.create_run(
                    NewRun(name="only one", fingerprint="f", **place), [event(1)], current_owner()
                )

    threads = [threading.Thread(target=find_or_make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.name for row in Journal(writer.path).runs()] == ["only one", "run"]


def test_what_no_database_stores_becomes_a_replacement_character(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    hostile = Entry("stream", "a\ud800b", "\udfff \U0001f600 \x00", "\ud800")
    writer.append(run, [event(1), hostile], epoch=1, durable=True)
    read = list(Journal(writer.path).records(run))
    assert (read[-1].type, read[-1].data, read[-1].sse_id) == ("a�b", "� \U0001f600 \x00", "�")
    recomputed(read)


def test_a_home_has_one_writer_and_one_salt(home: Path) -> None:
    writer = open_writer()
    assert open_writer(home) is writer
    assert not home.exists()
    salt = writer.salt
    assert len(salt) == 32
    writer.close()
    assert (writer.salt, open_writer(str(home)).salt) == (salt, salt)
    writer.close()


def test_the_salt_is_read_once_and_that_of_another_journal_anew(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    salt = writer.salt
    with writer.transaction(durable=True) as tx:
        tx.connection.execute(text("UPDATE meta SET value = '00' WHERE key = 'redaction_salt'"))
    assert writer.salt == salt
    for file in writer.path.parent.iterdir():
        file.unlink()
    with pytest.raises(JournalError, match="removed or replaced"):
        make_run()
    assert writer.salt not in (salt, b"\0")
    assert len(writer.salt) == 32


def test_time_is_rfc_3339_with_microseconds(writer: Writer, make_run: Callable[..., str]) -> None:
    (record,) = Journal(writer.path).records(make_run())
    assert len(record.recorded_at) == len("2026-11-24T11:22:33.123456Z")
    assert (record.recorded_at[10], record.recorded_at[-1]) == ("T", "Z")
