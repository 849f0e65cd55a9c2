"""Removing a settled run's records: what stays, who may, and what everybody else then sees."""

import subprocess
from collections.abc import Callable

import pytest

from arkor.core.record import Entry
from arkor.errors import JournalError, RunOwnedError, RunPrunedError
from arkor.store.journal import Journal
from arkor.store.prune import prune_run
from arkor.store.writer import Writer

OWN = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.lease import current_owner
with Writer(Path(sys.argv[1])).transaction(durable=True) as tx:
    tx.take_lease(sys.argv[2], current_owner(), adopt="idle")
print("mine", flush=True); sys.stdin.read()
"""

Make = Callable[..., str]


@pytest.fixture
def ended(writer: Writer, make_run: Make) -> Make:
    """Make a run that is settled and nobody's, with a number of records."""

    def make(records: int = 3, **fields: str) -> str:
        run = make_run(**fields)
        events = [Entry("stream", "training.log", f'{{"step":{n}}}') for n in range(records - 1)]
        writer.append(run, events, epoch=1, durable=True, index={"settled": True})
        writer.release(run, 1)
        return run

    return make


def test_what_stays_is_the_row_and_a_tombstone(writer: Writer, ended: Make) -> None:
    run, other = ended(run_key="nightly"), ended()
    journal = Journal(writer.path)
    head = list(journal.records(run))[-1].digest
    with writer.transaction(durable=True) as tx:
        prune_run(tx, run, head=head, archive="/a b/x.zst", archive_sha256="00")
    stone = journal.tombstone(run)
    assert stone is not None
    assert (stone.records, stone.head, stone.archive) == (3, head, "/a b/x.zst")
    row = journal.row(run)
    assert (row.pruned, row.run_key, row.settled) == (True, "nightly", True)
    assert [row.run_id for row in journal.runs() if not row.pruned] == [other]
    assert len(list(journal.records(other))) == 3


def test_its_log_is_refused_and_not_read_as_an_empty_one(writer: Writer, ended: Make) -> None:
    run = ended(run_id="01AAAB")
    journal = Journal(writer.path)
    first = journal.records(run)
    next(first)
    with writer.transaction(durable=True) as tx:
        prune_run(tx, run, archive="/a b/x.zst")
    for read in (journal.run, lambda run: list(journal.records(run)), lambda _: list(first)):
        with pytest.raises(RunPrunedError, match=r"arkor import '/a b/x\.zst'") as caught:
            read("01AA" if read == journal.run else run)
        assert (caught.value.run_id, caught.value.archive) == (run, "/a b/x.zst")


def test_without_an_archive_it_says_that_nothing_is_left(writer: Writer, ended: Make) -> None:
    run = ended()
    with writer.transaction(durable=True) as tx:
        prune_run(tx, run)
    with pytest.raises(RunPrunedError, match="not archived") as caught:
        Journal(writer.path).run(run)
    assert caught.value.archive is None
    with pytest.raises(RunPrunedError), writer.transaction(durable=True) as tx:
        prune_run(tx, run)


def test_nothing_of_a_run_that_is_not_over_is_removed(
    writer: Writer, make_run: Make, ended: Make
) -> None:
    under_way, over = make_run(), ended()
    journal = Journal(writer.path)
    with pytest.raises(JournalError, match="not finished"), writer.transaction(durable=True) as tx:
        prune_run(tx, under_way)
    for run, head, why in (("01NONE", None, "not in the journal"), (over, bytes(32), "archived")):
        with pytest.raises(JournalError, match=why), writer.transaction(durable=True) as tx:
            prune_run(tx, run, head=head)
    assert [len(list(journal.records(run))) for run in (under_way, over)] == [1, 3]


def test_nor_of_one_that_a_living_process_has(
    writer: Writer, ended: Make, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    run = ended()
    with start(OWN, writer.path, run) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "mine\n"
        with pytest.raises(RunOwnedError), writer.transaction(durable=True) as tx:
            prune_run(tx, run)
        owner.kill()
    with writer.transaction(durable=True) as tx:
        assert prune_run(tx, run).records == 3


def test_the_room_is_used_again_or_given_back(writer: Writer, ended: Make) -> None:
    run = ended(20_000)
    writer.close()
    size = writer.path.stat().st_size
    with writer.transaction(durable=True) as tx:
        prune_run(tx, run)
    reader = Journal(writer.path)
    assert reader.row(run).pruned
    assert writer.compact() > size // 2
    assert reader.row(run).pruned
    reader.close()
    writer.close()
    assert writer.path.stat().st_size < size // 4
