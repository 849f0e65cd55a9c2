"""A log that comes from a file: the same chain, whole or not at all, and nobody's to go on with."""

import io
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from arkor.core.lines import json_line
from arkor.core.notes import (
    Attached,
    CallbackCompleted,
    Resumed,
    SubmitRequested,
    Submitted,
    entry_of,
)
from arkor.core.record import GENESIS, Entry, Record, chain
from arkor.core.state import RunOwner
from arkor.errors import ConfigError, JournalError, RunPrunedError
from arkor.store.importing import ImportedRun, import_run
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.prune import prune_run
from arkor.store.runs import NewRun
from arkor.store.writer import Writer

JOB = {
    "id": "job-1",
    "orgId": "o",
    "projectId": "p",
    "name": "the run",
    "status": "queued",
    "config": {"model": "m"},
    "createdAt": "2026-11-24T02:00:00Z",
}
ODD = [
    Entry("stream", "training.log", '{"type":"training.log","step":1,"loss":0.5}', "1"),
    Entry("stream", "odd", "not JSON,\n\u2028\x00\ud800 🦊", ""),
    Entry("stream", "training.completed", '{"type":"training.completed"}', "2"),
]


def wish(**fields: Any) -> SubmitRequested:
    given = {"name": "wished", "config": {}, "fingerprint": "f", "idempotency_key": "k"}
    place = {"base_url": "local", "org_slug": "o", "project_slug": "p", "project_root": "/p"}
    return SubmitRequested(**{**given, **place, "consumers": ("main",), **fields})


def record_run(writer: Writer, *entries: Entry, run_key: str | None = None) -> str:
    """A run in the writer's journal: its wish, its job, and `entries`."""
    row = NewRun(
        name="wished",
        project_root="/p",
        org_slug="o",
        project_slug="p",
        fingerprint="f",
        run_key=run_key,
    )
    first = [entry_of(wish(run_key=run_key)), entry_of(Submitted(JOB)), *entries]
    with writer.transaction(durable=True) as tx:
        return tx.create_run(row, first, current_owner()).run_id


def settle(writer: Writer, run: str) -> None:
    last = len(list(Journal(writer.path).records(run)))
    receipt = entry_of(CallbackCompleted("main", last, "on_completed"))
    index = {"settled": True, "status": "completed"}
    writer.append(run, [receipt], epoch=1, durable=True, index=index)
    writer.release(run, 1)


def exported(writer: Writer, run: str) -> bytes:
    return b"".join(Journal(writer.path).export(run))


def take(writer: Writer, written: bytes) -> ImportedRun:
    return import_run(writer, io.BytesIO(written), "run.jsonl")


def log(*entries: Entry, run_id: str = "01RUN", at: str = "2026-11-24T02:00:00.000000Z") -> bytes:
    """An export whose chain is whole, whatever it says."""
    records = chain(run_id, entries, after=0, prev_digest=GENESIS, recorded_at=at)
    return b"".join(map(json_line, records))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Writer]:
    """The writer of another journal, which is not there yet."""
    writer = Writer(tmp_path / "other" / "arkor.db")
    yield writer
    writer.close()


def records(writer: Writer, run: str) -> list[Record]:
    return list(Journal(writer.path).records(run))


def test_a_run_comes_back_with_the_same_head(writer: Writer, other: Writer) -> None:
    run = record_run(writer, *ODD, run_key="nightly")
    settle(writer, run)
    state = Journal(writer.path).run(run)
    taken = take(other, exported(writer, run))
    assert taken == ImportedRun(run, 6, state.head, "imported")
    assert records(other, run) == records(writer, run)
    report = Journal(other.path).verify(run, state.head.hex())
    assert (report.ok, report.records, report.head) == (True, 6, state.head.hex())
    assert Journal(other.path).run(run) == state


def test_its_row_is_made_from_its_log(writer: Writer, other: Writer) -> None:
    run = record_run(writer, *ODD, run_key="nightly")
    settle(writer, run)
    take(other, exported(writer, run))
    before, after = Journal(writer.path).row(run), Journal(other.path).row("job-1")
    assert after.imported_at is not None
    # What the row said before is what the log says: but the key is the other journal's.
    fields = {"name": "the run", "job_id": "job-1", "run_key": None}
    assert after == replace(before, imported_at=after.imported_at, **fields)


def test_a_run_that_has_not_ended_is_left_as_if_its_process_had_died(
    writer: Writer, other: Writer
) -> None:
    provenance = {"host": "far-away", "pid": 7}
    took = Resumed(2, clean=True, consumers=("main",), provenance=provenance)
    run = record_run(writer, entry_of(took), ODD[0])
    take(other, exported(writer, run))
    journal = Journal(other.path)
    assert journal.run(run).owner == RunOwner("far-away", 7, "orphan")
    lease = journal.lease(run)
    assert lease is not None
    assert (lease.epoch, lease.state) == (2, "active")
    with other.transaction(durable=True) as tx:
        assert tx.take_lease(run, current_owner(), adopt="dead") == 3


def test_an_attached_run_has_a_place_too(other: Writer) -> None:
    place = {"org_slug": "o", "project_slug": "p", "project_root": "/p"}
    take(other, log(entry_of(Attached(job=JOB, base_url="local", **place))))
    row = Journal(other.path).row("01RUN")
    assert (row.name, row.project_root, row.org_slug) == ("the run", "/p", "o")
    assert row.fingerprint


def test_the_same_log_again_changes_nothing(writer: Writer, other: Writer) -> None:
    run = record_run(writer, ODD[0])
    earlier = exported(writer, run)
    assert take(writer, earlier).outcome == "already"
    assert Journal(writer.path).row(run).imported_at is None
    take(other, earlier)
    assert take(other, earlier).outcome == "already"
    # A log that has grown since has all that the file has.
    writer.append(run, [ODD[1]], epoch=1, durable=True)
    assert take(writer, earlier).outcome == "already"
    assert len(records(writer, run)) == 4


def test_another_log_of_the_same_run_is_refused(writer: Writer, other: Writer) -> None:
    run = record_run(writer, ODD[0])
    take(other, exported(writer, run))
    writer.append(run, [ODD[1]], epoch=1, durable=True)
    before = records(other, run)
    for written in (
        exported(writer, run),
        log(entry_of(wish()), run_id=run),
        log(entry_of(wish()), entry_of(Submitted(JOB)), ODD[0], run_id=run),
    ):
        with pytest.raises(JournalError, match=r"another log.*nothing was changed"):
            take(other, written)
    assert records(other, run) == before


def test_an_archive_restores_what_was_pruned(writer: Writer) -> None:
    run = record_run(writer, *ODD, run_key="nightly")
    settle(writer, run)
    written, before = exported(writer, run), records(writer, run)
    row = Journal(writer.path).row(run)
    with writer.transaction(durable=True) as tx:
        prune_run(tx, run)
    with pytest.raises(RunPrunedError):
        records(writer, run)
    with pytest.raises(JournalError, match="pruned with another head"):
        take(writer, log(entry_of(wish()), run_id=run))
    assert take(writer, written).outcome == "restored"
    assert records(writer, run) == before
    assert Journal(writer.path).row(run) == row
    assert (row.run_key, row.imported_at, row.pruned) == ("nightly", None, False)


BREAKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "changed": lambda lines: [lines[3].replace(b"not JSON", b"not json"), *lines[4:]],
    "time": lambda lines: [lines[3].replace(b'"2', b'"3', 1), *lines[4:]],
    "removed": lambda lines: lines[4:],
    "twice": lambda lines: lines[2:],
    "swapped": lambda lines: [lines[4], lines[3], *lines[5:]],
    "renumbered": lambda lines: [_with(line, seq=n) for n, line in enumerate(lines[4:], 4)],
    "cut": lambda lines: [lines[3][:-20]],
    "of another run": lambda lines: [_with(lines[3], runId="01OTHER"), *lines[4:]],
    "blank": lambda lines: [b"\n", *lines[3:]],
    "huge": lambda lines: [b'{"data":"' + b"x" * (128 * 2**20 + 1) + b'"}\n'],
    "digest": lambda lines: [_with(lines[3], digest="0" * 64), *lines[4:]],
}
"""What follows the first three lines of an export after somebody was at it."""


def _with(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_chain_is_refused_by_line_and_record(
    writer: Writer, other: Writer, kind: str
) -> None:
    run = record_run(writer, *ODD)
    lines = exported(writer, run).splitlines(keepends=True)
    written = b"".join([*lines[:3], *BREAKS[kind](lines)])
    with pytest.raises(
        JournalError, match=r"line 4, which must be record 4: .*nothing was"
    ) as found:
        take(other, written)
    assert found.value.path == "run.jsonl"
    assert not other.path.exists()


HOSTILE = {
    "": "no record",
    "\n": "line 1",
    "[]\n": "line 1",
    '{"runId":"01","seq":NaN}\n': "NaN",
    '{"seq":1,"seq":1}\n': "given twice",
    "\xff\xfe": "line 1",
    '{"runId": ["' + "a" * 100 + '"]}': "line 1",
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_what_is_no_export_is_said_so(other: Writer, text: str, reason: str) -> None:
    with pytest.raises(JournalError, match=reason):
        take(other, text.encode("latin-1"))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (log(ODD[0]), "no run's log"),
        (log(Entry("local", "arkor.submit.requested", "{}")), "no run's log"),
        (log(entry_of(wish()), run_id="../../etc"), "no run's id"),
        (log(entry_of(wish()), run_id="01 \x1b[31m"), "no run's id"),
        (log(entry_of(wish()), run_id=""), "no run's id"),
        (log(entry_of(wish()), at="2026-11-24T02:00:00Z"), "line 1"),
        (log(entry_of(wish()), at="yesterday"), "line 1"),
        (log(entry_of(wish()), at="0000-00-00T00:00:00.000000Z"), "line 1"),
    ],
)
def test_a_whole_chain_of_nonsense_is_refused(other: Writer, written: bytes, reason: str) -> None:
    with pytest.raises(JournalError, match=reason):
        take(other, written)


def test_what_a_hostile_log_says_of_its_run_does_no_harm(other: Writer) -> None:
    odd = wish(name="\ud800", project_root="\udfff", config={"a": [float("nan"), "\ud800"]})
    job = {**JOB, "name": "\ud800 name", "id": "\x1b[31m", "status": "\udcff"}
    took = Resumed(10**30, clean=True, provenance={"host": "\ud800", "pid": 10**30})
    entries = [entry_of(odd), entry_of(Submitted(job)), entry_of(took)]
    escaped = [each._replace(data=json.dumps(json.loads(each.data))) for each in entries]
    taken = take(other, log(*escaped))
    journal = Journal(other.path)
    assert journal.verify(taken.run_id).ok
    assert journal.row(taken.run_id).name == "? name"


@pytest.mark.parametrize("level", [1, 19])
def test_a_compressed_export_is_read_as_it_is(writer: Writer, other: Writer, level: int) -> None:
    run = record_run(writer, *ODD)
    packed = pyarrow.Codec("zstd", compression_level=level).compress(
        exported(writer, run), asbytes=True
    )
    assert take(other, packed).outcome == "imported"
    assert take(other, packed).outcome == "already"


@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_a_compressed_export_that_is_damaged_is_refused(
    writer: Writer, other: Writer, change: str
) -> None:
    run = record_run(writer, *ODD)
    packed = bytearray(pyarrow.Codec("zstd").compress(exported(writer, run), asbytes=True))
    if change == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 255
    with pytest.raises(JournalError, match=r"run\.jsonl cannot be"):
        take(other, bytes(packed))
    assert not other.path.exists()


def test_a_compressed_export_says_which_extra_it_needs(
    other: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"arkor\[export\]"):
        take(other, b"\x28\xb5\x2f\xfd" + bytes(20))


class Pipe(io.BytesIO):
    """A file that is read once, in small pieces."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 100))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation

    tell = seek  # type: ignore[assignment]


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read_as_it_comes(writer: Writer, other: Writer, packed: bool) -> None:
    run = record_run(writer, *ODD)
    written = exported(writer, run)
    if packed:
        written = pyarrow.Codec("zstd").compress(written, asbytes=True)
    assert import_run(other, Pipe(written), "-").outcome == "imported"
    assert records(other, run) == records(writer, run)


def test_an_imported_run_is_not_the_newest(writer: Writer, other: Writer) -> None:
    run, foreign = record_run(writer), record_run(other)
    take(writer, exported(other, foreign))
    assert Journal(writer.path).resolve("@last") == run
    with other.transaction(durable=True) as tx:
        assert [row.run_id for row in tx.find_runs(imported_at=None)] == [foreign]


def test_a_long_log_is_imported_in_constant_memory(writer: Writer, other: Writer) -> None:
    run = record_run(writer)
    text = json.dumps({"type": "x", "text": "y" * 20_000})
    for _ in range(5):
        writer.append(run, [Entry("stream", "x", text)] * 400, epoch=1, durable=False)
    file = io.BytesIO(exported(writer, run))
    tracemalloc.start()
    assert import_run(other, file, "f").records == 2002
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25_000_000
    assert Journal(other.path).verify(run).ok
