"""Reading: beside a writer, in constant memory, by any name of a run."""

import asyncio
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from arkor.core.fold import fold_all
from arkor.core.notes import Resumed, entry_of
from arkor.core.record import Entry
from arkor.core.state import RunOwner
from arkor.errors import ConfigError, JournalError, NoSuchRunError
from arkor.store.journal import Journal, open_journal
from arkor.store.lease import current_owner
from arkor.store.paths import journal_path
from arkor.store.runs import new_run_id
from arkor.store.writer import Writer, open_writer

Child = subprocess.Popen[str]

OWN = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.lease import current_owner
with Writer(Path(sys.argv[1])).transaction(durable=True) as tx:
    tx.take_lease(sys.argv[2], current_owner(), adopt="idle")
print("mine", flush=True); sys.stdin.read()
"""


def event(n: int) -> Entry:
    return Entry("stream", "training.log", f'{{"step":{n}}}', str(n))


def test_a_journal_that_is_not_there_reads_as_an_empty_one(home: Path) -> None:
    journal = open_journal()
    assert journal.runs() == []
    assert (journal.lease("X"), journal.find_sse("X", "1")) == (None, None)
    with pytest.raises(NoSuchRunError, match="arkor runs"):
        list(journal.records("X"))
    with pytest.raises(NoSuchRunError, match="arkor start"):
        journal.resolve("@last")
    assert not home.exists()


def test_it_is_read_as_soon_as_somebody_makes_it(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    journal = Journal(writer.path)
    assert journal.runs() == []
    run = make_run()
    assert [row.run_id for row in journal.runs()] == [run]


def test_runs_come_newest_first(writer: Writer, make_run: Callable[..., str]) -> None:
    runs = [make_run(project_root=f"/{n % 2}") for n in range(4)]
    writer.append(runs[0], [event(1)], epoch=1, durable=True, index={"status": "failed"})
    journal = Journal(writer.path)
    assert [row.run_id for row in journal.runs()] == runs[::-1]
    assert [row.run_id for row in journal.runs(Path("/1"))] == [runs[3], runs[1]]
    assert [row.run_id for row in journal.runs(status="failed")] == [runs[0]]
    assert [row.run_id for row in journal.runs(limit=1)] == [runs[3]]


def test_a_run_is_found_by_any_of_its_names(writer: Writer, make_run: Callable[..., str]) -> None:
    first = make_run(run_id="01AAAB", job_id="job-7f")
    second = make_run(run_id="01AACC", job_id="job-7")
    journal = Journal(writer.path)
    for name in ("01AAAB", "01aaab", "01aaa", "job-7f"):
        assert journal.resolve(name) == first
    for name in ("01AAC", "job-7", "@last"):
        assert journal.resolve(name) == second
    with pytest.raises(NoSuchRunError, match="beginning of 2 ids") as caught:
        journal.resolve("01AA")
    assert set(caught.value.matches) == {first, second}
    for name in ("02", "JOB-7", "%", "_1AAAB", "01AAABX"):
        with pytest.raises(NoSuchRunError, match="arkor runs"):
            journal.resolve(name)


def test_records_are_read_from_anywhere(writer: Writer, make_run: Callable[..., str]) -> None:
    run, other = make_run(), make_run()
    writer.append(run, [event(n) for n in range(1200)], epoch=1, durable=True)
    writer.append(other, [event(7)], epoch=1, durable=True)
    journal = Journal(writer.path)
    whole = list(journal.records(run))
    assert [record.seq for record in whole] == list(range(1, 1202))
    assert list(journal.records(run, after=700)) == whole[700:]
    assert list(journal.records(run, after=699, limit=502)) == whole[699:1201]
    assert list(journal.records(run, after=3, limit=2)) == whole[3:5]
    assert list(journal.records(run, after=1201)) == []
    assert list(journal.records(run, limit=0)) == []
    assert list(journal.records(run, limit=1)) == whole[:1]
    assert list(journal.records(run, limit=502)) == whole[:502]
    assert journal.find_sse(run, "7") == whole[8]
    assert journal.find_sse(run, "none") is None


def test_records_are_found_by_any_name_of_their_run(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run(job_id="job-7")
    make_run()
    writer.append(run, [event(n) for n in range(4)], epoch=1, durable=True)
    journal = Journal(writer.path)
    whole = list(journal.records(run))
    assert list(journal.records("job-7", after=2)) == whole[2:]
    assert list(journal.records(run.lower(), limit=3)) == whole[:3]
    assert list(journal.records("job-7", after=5)) == []
    assert [record.run_id for record in journal.records("@last")] != [run]
    with pytest.raises(NoSuchRunError, match="arkor runs"):
        next(journal.records("job-8", after=3))


def test_a_reader_sees_what_was_committed_and_never_blocks(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    journal = Journal(writer.path)
    with writer.transaction(durable=True) as tx:
        tx.append(run, [event(1)], epoch=1)
        assert len(list(journal.records(run))) == 1
    reading = journal.records(run)
    assert next(reading).seq == 1
    writer.append(run, [event(2)], epoch=1, durable=True)
    assert [record.seq for record in reading] == [2, 3]


def test_the_log_is_read_in_constant_memory(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    big = Entry("stream", "training.log", "x" * 1_000_000)
    for _ in range(5):
        writer.append(run, [big] * 8, epoch=1, durable=False)
    journal = Journal(writer.path)
    tracemalloc.start()
    assert sum(1 for _ in journal.records(run)) == 41
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_run_is_the_fold_of_its_log(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run(run_id="01FOLD")
    log = '{"type":"training.log","jobId":"j","timestamp":"t","step":3,"loss":0.5}'
    writer.append(run, [Entry("stream", "training.log", log, "9")], epoch=1, durable=True)
    state = Journal(writer.path).run("01fold")
    assert (state.run_id, state.records, state.last_event_id) == (run, 2, "9")
    assert state == fold_all(Journal(writer.path).records(run))


def test_a_run_says_who_has_it(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., Child]
) -> None:
    run, here = make_run(), current_owner()
    journal = Journal(writer.path)
    assert journal.run(run).owner == RunOwner(here.host, here.pid, "active")
    writer.set_idle(run, 1)
    assert journal.run(run).owner == RunOwner(here.host, here.pid, "idle")
    dead = killed(start(OWN, writer.path, run))
    assert journal.run(run).owner == RunOwner(here.host, dead, "orphan")
    writer.release(run, 2)
    assert journal.run(run).owner is None


def killed(child: Child) -> int:
    """The id of a process that has taken its run, and is dead now."""
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "mine\n"
        child.kill()
    return child.pid


def test_a_follower_ends_with_the_owner_of_a_run_that_has_ended(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., Child]
) -> None:
    run = make_run()
    writer.set_idle(run, 1)
    child = start(OWN, writer.path, run)
    owed = entry_of(Resumed(2, clean=True, consumers=("main",)))
    ended = Entry("stream", "training.completed", '{"type":"training.completed"}', "1")

    async def follow() -> list[str]:
        seen = []
        async for record in Journal(writer.path).follow(run):
            seen.append(record.type)
            if len(seen) == 1:
                writer.append(run, [owed, ended], epoch=None, durable=False)
            if record.type == "training.completed":
                killed(child)
        return seen

    assert asyncio.run(asyncio.wait_for(follow(), 60))[-1] == "training.completed"
    assert not Journal(writer.path).run(run).settled


def test_the_write_ahead_log_stays_small_beside_a_reader(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    journal = Journal(writer.path)
    reading = journal.records(run)
    next(reading)
    for _ in range(60):
        writer.append(run, [Entry("stream", "x", "y" * 5000)] * 50, epoch=1, durable=False)
    assert writer.path.with_name("arkor.db-wal").stat().st_size < 12_000_000
    assert sum(1 for _ in reading) == 3000


def test_the_journal_may_be_named_by_a_url(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert journal_path() == home / "arkor.db"
    monkeypatch.setenv("ARKOR_JOURNAL_URL", f"sqlite:///{tmp_path}/else where/j.db")
    assert journal_path() == tmp_path / "else where" / "j.db"
    assert open_writer().salt
    open_writer().close()
    for url in ("postgresql://user:secret@host/db", "sqlite://", "nonsense"):
        monkeypatch.setenv("ARKOR_JOURNAL_URL", url)
        with pytest.raises(ConfigError, match="ARKOR_JOURNAL_URL") as caught:
            open_journal()
        assert "secret" not in str(caught.value)


def test_an_unknown_run_is_a_lookup_error_too() -> None:
    assert issubclass(NoSuchRunError, LookupError)
    assert issubclass(NoSuchRunError, JournalError)


def test_run_ids_are_distinct_and_sorted_by_time() -> None:
    ids = [new_run_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [each[:10] for each in ids] == sorted(each[:10] for each in ids)
    assert set("".join(ids)) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_a_run_that_another_file_in_the_journals_place_does_not_have_is_not_an_empty_one(
    writer: Writer, make_run: Callable[..., str], tmp_path: Path
) -> None:
    run = make_run()
    journal = Journal(writer.path)
    assert len(list(journal.records(run))) == 1
    other = Writer(tmp_path / "other" / "arkor.db")
    assert other.salt
    other.close()
    journal.close()
    writer.close()
    other.path.replace(writer.path)
    with pytest.raises(NoSuchRunError):
        list(journal.records(run))
