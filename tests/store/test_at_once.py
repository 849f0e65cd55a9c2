"""A transaction at once waits for nobody: not for another writer, and not for the disk."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arkor.core.record import Entry
from arkor.store import sqlite
from arkor.store.database import Busy, WriteDoor
from arkor.store.writer import Writer

EVENT = Entry("stream", "training.log", '{"step":1}')


def at_once(writer: Writer, run: str) -> int:
    with writer.transaction(durable=False, create=False, at_once=True) as tx:
        return tx.append(run, [EVENT], epoch=1)[0].seq


@contextmanager
def elsewhere(hold: Callable[[threading.Event, threading.Event], None]) -> Iterator[None]:
    """Run `hold` in a thread until the block is left; it says when it has what it holds."""
    held, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(held, over))
    thread.start()
    try:
        assert held.wait(10)
        yield
    finally:
        over.set()
        thread.join()


def test_it_appends_where_nobody_is_in_the_way(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    assert [at_once(writer, run), at_once(writer, run)] == [2, 3]


def test_another_thread_is_not_waited_for(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()

    def hold(held: threading.Event, over: threading.Event) -> None:
        with writer.transaction(durable=False):
            held.set()
            over.wait(10)

    with elsewhere(hold), pytest.raises(Busy):
        at_once(writer, run)
    assert at_once(writer, run) == 2


def test_another_process_is_not_waited_for(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., Any]
) -> None:
    run = make_run()
    program = """
import sys; from pathlib import Path
from arkor.store.writer import Writer
with Writer(Path(sys.argv[1])).transaction(durable=False):
    print("in", flush=True); sys.stdin.read()
"""
    with start(program, writer.path) as child:
        assert child.stdout.readline() == "in\n"
        with pytest.raises(Busy):
            at_once(writer, run)
        child.stdin.close()
        child.wait()
    assert at_once(writer, run) == 2


def test_another_program_is_not_waited_for_but_by_who_may_wait(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    other = sqlite3.connect(writer.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        at_once(writer, run)
    ending = threading.Timer(0.1, other.execute, ["COMMIT"])
    ending.start()
    assert writer.append(run, [EVENT], epoch=1, durable=False)[0].seq == 2
    ending.join()
    other.close()
    assert at_once(writer, run) == 3


def test_a_file_is_not_opened_at_once(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    writer.close()
    with pytest.raises(Busy):
        at_once(writer, run)
    assert writer.append(run, [EVENT], epoch=1, durable=False)
    assert at_once(writer, run) == 3


def test_the_write_ahead_log_grows_no_further_at_once(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    for _ in range(sqlite.CHECKPOINT_PAGES):
        try:
            at_once(writer, run)
        except Busy:
            break
    else:
        pytest.fail("the log was never due to be folded")
    assert sqlite.log_pages(writer.path) < 2 * sqlite.CHECKPOINT_PAGES
    writer.append(run, [EVENT], epoch=1, durable=False)
    assert at_once(writer, run)


def test_nothing_is_written_at_once_where_every_commit_waits_for_the_disk(
    writer: Writer, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 22 0:40 / {tmp_path} rw shared:2 - nfs4 server:/home rw\n")
    door = WriteDoor(writer.path, mounts=mounts)
    with pytest.warns(UserWarning, match="nfs4"), door.transaction(durable=False):
        pass
    with pytest.raises(Busy), door.transaction(durable=False, at_once=True):
        pass
    door.close()
