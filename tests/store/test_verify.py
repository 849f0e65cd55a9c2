"""Every way to tamper with a journal, done with plain sqlite3 on a copy, is found at its seq."""

import random
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from arkor.core.record import GENESIS, Entry, canonical, digest_of
from arkor.core.verify import VerifyReport
from arkor.errors import ConfigError, JournalCorruptError, NoSuchRunError
from arkor.store.journal import Journal
from arkor.store.moment import rfc3339
from arkor.store.writer import Writer

LENGTH = 30
"""Records of the run that is tampered with; the other one has as many."""

SEEDS = range(12)

Tamper = Callable[[sqlite3.Connection], object]


class Scene:
    """A journal with two runs, and copies of it to tamper with."""

    def __init__(self, path: Path, run: str, other: str) -> None:
        self.path, self.run, self.other = path, run, other
        self.anchor = Journal(path).anchor(run)
        self.copies = 0

    @contextmanager
    def copy(self) -> Iterator[sqlite3.Connection]:
        """A copy of the journal, opened with sqlite3; what was done is there afterwards."""
        self.copies += 1
        self.copied = self.path.with_name(f"copy-{self.copies}.db")
        shutil.copyfile(self.path, self.copied)
        with closing(sqlite3.connect(self.copied)) as connection:
            yield connection
            connection.commit()

    def verify(self, *steps: str, head: str | None = None, run: str | None = None) -> VerifyReport:
        """The report on a copy on which these statements were executed."""
        with self.copy() as connection:
            for step in steps:
                changed = connection.execute(step).rowcount
                assert changed, f"nothing was done by {step}"
        return Journal(self.copied).verify(run or self.run, head)


def event(n: int) -> Entry:
    data = f'{{"type":"training.log","step":{n},"loss":0.{n:03}}}'
    return Entry("stream", "training.log", data, None if n % 5 == 0 else str(n))


@pytest.fixture
def scene(writer: Writer, make_run: Callable[..., str]) -> Scene:
    run, other = make_run(run_id="01RUN"), make_run(run_id="02OTHER")
    for n in range(2, LENGTH + 1):
        writer.append(run, [event(n)], epoch=1, durable=False)
        writer.append(other, [event(n * 7)], epoch=1, durable=False)
    writer.close()
    return Scene(writer.path, run, other)


def at(seq: int, run: int = 1) -> str:
    return f"WHERE run = {run} AND seq = {seq}"


def renumber(first: int, by: int, run: int = 1) -> list[str]:
    """Add `by` to the numbers from `first` on, past the primary key."""
    return [
        f"UPDATE records SET seq = -seq WHERE run = {run} AND seq >= {first}",
        f"UPDATE records SET seq = -seq + {by} WHERE run = {run} AND seq < 0",
    ]


def copy_of(seq: int, to: int, run: int = 1, **columns: str) -> str:
    """A second row like `seq`, with other values in these columns."""
    names = ("kind", "sse_id", "data", "recorded_at", "digest")
    values = ", ".join(columns.get(name, name) for name in names)
    return (
        f"INSERT INTO records (run, seq, {', '.join(names)}) "
        f"SELECT {run}, {to}, {values} FROM records {at(seq)}"
    )


def rechain(connection: sqlite3.Connection, first: int) -> None:
    """Give the records from `first` on the digests that they should have."""
    query = f"SELECT digest FROM records {at(first - 1)}"
    (digest,) = connection.execute(query).fetchone() or (GENESIS,)
    query = (
        "SELECT seq, source, type, sse_id, recorded_at, data FROM records"
        " JOIN kinds ON kinds.id = kind WHERE run = 1 AND seq >= ? ORDER BY seq"
    )
    for seq, source, kind, sse_id, when, data in connection.execute(query, (first,)).fetchall():
        form = canonical("01RUN", seq, source, kind, sse_id, rfc3339(when), data)
        digest = digest_of(digest, form)
        connection.execute(f"UPDATE records SET digest = ? {at(seq)}", (digest,))


def test_a_log_that_was_left_alone_is_whole(scene: Scene) -> None:
    journal = Journal(scene.path)
    records = list(journal.records(scene.run))
    head = records[-1].digest.hex()
    expected = VerifyReport(ok=True, run_id=scene.run, records=LENGTH, head=head)
    assert journal.verify("01r") == expected
    for given in (head, head.upper(), scene.anchor, f"# kept since\n\n{scene.anchor}\n{head}\n"):
        assert journal.verify(scene.run, given).anchored_seq == LENGTH
    with pytest.raises(NoSuchRunError):
        journal.verify("03")


def test_a_log_may_have_grown_since_its_head_was_kept(scene: Scene) -> None:
    records = list(Journal(scene.path).records(scene.run))
    writer = Writer(scene.path)
    writer.append(scene.run, [event(99)], epoch=1, durable=False)
    writer.close()
    found = Journal(scene.path).verify(scene.run, records[6].digest.hex())
    assert (found.ok, found.records, found.anchored_seq) == (True, LENGTH + 1, 7)
    both = f"{scene.anchor}\n{records[0].digest.hex()}"
    assert Journal(scene.path).verify(scene.run, both).anchored_seq == LENGTH


EDITS = [
    "data = data || ' '",
    "data = upper(data)",
    "sse_id = coalesce(sse_id, '') || '1'",
    "sse_id = CASE WHEN sse_id IS NULL THEN '' END",
    "recorded_at = recorded_at + 1",
    "kind = 3 - kind",
    "kind = 99",
    "kind = 'x'",
    "data = CAST(data AS BLOB)",
    "data = CAST(x'22ff22' AS TEXT)",
    "data = ''",
    "data = x''",
    "sse_id = x'31'",
    "sse_id = CAST(x'ff' AS TEXT)",
    "recorded_at = 'today'",
    "recorded_at = x'00'",
    "recorded_at = 1e300",
    "recorded_at = 9223372036854775807",
    "recorded_at = recorded_at + 0.5",
    "digest = zeroblob(32)",
    "digest = x'00'",
    "digest = ''",
    "digest = hex(digest)",
    "digest = 1.5",
    "digest = zeroblob(100000)",
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_record_is_found(scene: Scene, edit: str) -> None:
    for seq in (1, 2, random.Random(edit).randrange(3, LENGTH), LENGTH):
        found = scene.verify(f"UPDATE records SET {edit} {at(seq)}")
        assert (found.ok, found.first_bad_seq, found.fault) == (False, seq, "changed"), seq
        assert (found.records, f"record {seq} " in str(found.problem)) == (seq - 1, True)


def test_what_was_edited_is_said(scene: Scene) -> None:
    digest = scene.verify(f"UPDATE records SET digest = randomblob(32) {at(5)}")
    assert digest.problem == "the digest of record 5 was changed; what it covers was not"
    blob = scene.verify(f"UPDATE records SET data = x'00' {at(5)}")
    assert blob.problem == "record 5 was changed: its data is binary, and no text"
    kind = scene.verify(f"UPDATE records SET kind = 99 {at(5)}")
    assert kind.problem == "record 5 was changed: its source is missing, and no text"


@pytest.mark.parametrize(
    "edit",
    ["type = 'training.lox'", "source = 'local'", "type = x'00'", "type = CAST(x'ff' AS TEXT)"],
)
def test_an_edit_of_what_records_share_is_found_at_the_first_of_them(
    scene: Scene, edit: str
) -> None:
    found = scene.verify(f"UPDATE kinds SET {edit} WHERE type = 'training.log'")
    assert (found.first_bad_seq, found.fault) == (2, "changed")
    assert scene.verify("DELETE FROM kinds").first_bad_seq == 1


def test_a_record_edited_together_with_its_digest_breaks_what_follows(scene: Scene) -> None:
    with scene.copy() as connection:
        connection.execute(f"UPDATE records SET data = '{{}}' {at(9)}")
        kept = connection.execute(f"SELECT digest FROM records {at(10)}").fetchone()
        rechain(connection, 9)
        for record in Journal(scene.path).records(scene.run, after=9):
            connection.execute(f"UPDATE records SET digest = ? {at(record.seq)}", (record.digest,))
        assert connection.execute(f"SELECT digest FROM records {at(10)}").fetchone() == kept
    found = Journal(scene.copied).verify(scene.run)
    assert (found.fault, found.first_bad_seq) == ("changed", 10)
    assert "or record 9 was changed together with its digest" in str(found.problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_removed_records_are_found_at_their_own_seq(scene: Scene, seed: int) -> None:
    count = 1 + seed % 4
    first = [1, 2, LENGTH - count][seed] if seed < 3 else random.Random(seed).randrange(2, 20)
    gone = f"DELETE FROM records WHERE run = 1 AND seq BETWEEN {first} AND {first + count - 1}"
    found = scene.verify(gone)
    assert (found.ok, found.fault, found.first_bad_seq) == (False, "missing", first)
    assert found.problem == (
        f"record {first} is missing"
        if count == 1
        else f"records {first} to {first + count - 1} are missing ({count} of them)"
    )
    if first + count < LENGTH:
        renumbered = scene.verify(gone, *renumber(first, -count))
        assert (renumbered.fault, renumbered.first_bad_seq) == ("missing", first)
        assert "removed, and what is behind renumbered" in str(renumbered.problem)
        assert f"{count} records" in str(renumbered.problem) or count == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_inserted_records_are_found(scene: Scene, seed: int) -> None:
    first, count = random.Random(seed).randrange(1, LENGTH + 1), 1 + seed % 3
    rows = [
        copy_of(first, first + n, data=f"'{{\"{n}\": 1}}'", digest="randomblob(32)")
        for n in range(count)
    ]
    # The row to copy has moved on by then.
    moved = [row.replace(at(first), at(first + count)) for row in rows]
    found = scene.verify(*renumber(first, count), *moved)
    assert (found.fault, found.first_bad_seq) == ("inserted", first)
    assert found.problem == (
        f"record {first} was put in, and what is behind renumbered"
        if count == 1
        else f"records {first} to {first + count - 1} were put in, and what is behind renumbered"
    )


@pytest.mark.parametrize("first", [1, 2, 17, LENGTH])
def test_inserted_records_with_digests_that_fit_are_found(scene: Scene, first: int) -> None:
    with scene.copy() as connection:
        for step in renumber(first, 2):
            connection.execute(step)
        for seq in (first, first + 1):
            connection.execute(copy_of(first + 2, seq, data="'{}'"))
        true = dict(connection.execute("SELECT seq, digest FROM records WHERE run = 1"))
        rechain(connection, first)
        for seq in range(first + 2, LENGTH + 3):
            connection.execute(f"UPDATE records SET digest = ? {at(seq)}", (true[seq],))
    found = Journal(scene.copied).verify(scene.run)
    assert (found.fault, found.first_bad_seq, found.records) == ("inserted", first, first + 1)
    assert f"records {first} to {first + 1} were put in" in str(found.problem)


def test_a_record_put_in_once_more_is_found(scene: Scene) -> None:
    behind = scene.verify(copy_of(12, LENGTH + 1))
    assert (behind.fault, behind.first_bad_seq) == ("inserted", LENGTH + 1)
    assert behind.problem == f"record {LENGTH + 1} was put in: it is record 12 once more"
    between = scene.verify(*renumber(20, 1), copy_of(12, 20))
    assert (between.fault, between.first_bad_seq) == ("inserted", 20)


def test_rows_with_numbers_that_no_record_has_are_found(scene: Scene) -> None:
    for seq in (0, -7):
        found = scene.verify(copy_of(3, seq))
        assert (found.fault, found.first_bad_seq, found.records) == ("inserted", seq, 0)
    for odd in (2.5, "'x'", "x'00'"):
        found = scene.verify(copy_of(3, 0).replace("SELECT 1, 0", f"SELECT 1, {odd}"))
        assert (found.ok, found.fault) == (False, "inserted"), odd
    whole = scene.verify(copy_of(LENGTH, LENGTH + 1))
    assert (whole.ok, whole.first_bad_seq) == (False, LENGTH + 1)


def swap(first: int, second: int) -> list[str]:
    """Exchange two whole rows, their digests included."""
    return [
        f"UPDATE records SET seq = -1 {at(first)}",
        f"UPDATE records SET seq = {first} {at(second)}",
        f"UPDATE records SET seq = {second} {at(-1)}",
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_reordered_records_are_found(scene: Scene, seed: int) -> None:
    fixed = [(1, 2), (1, LENGTH), (LENGTH - 1, LENGTH), (8, 9), (8, 10)]
    drawn = sorted(random.Random(seed).sample(range(1, LENGTH + 1), 2))
    first, second = fixed[seed] if seed < len(fixed) else drawn
    whole = scene.verify(*swap(first, second))
    assert (whole.fault, whole.first_bad_seq) == ("reordered", first)
    contents = exchange("run = 1", first, second)
    with scene.copy() as connection:
        contents(connection)
    found = Journal(scene.copied).verify(scene.run)
    assert (found.fault, found.first_bad_seq) == ("reordered", first)
    assert f"its content stands at {second}" in str(found.problem)


def exchange(where: str, first: int, second: int, other: str = "") -> Tamper:
    """Exchange what two rows hold, while their digests stay."""

    def run(connection: sqlite3.Connection) -> None:
        columns = "kind, sse_id, data, recorded_at"
        places = [(where, first), (other or where, second)]
        held = [
            connection.execute(f"SELECT {columns} FROM records WHERE {place} AND seq = {seq}")
            for place, seq in places
        ]
        rows = [each.fetchone() for each in held]
        for (place, seq), row in zip(places, rows[::-1], strict=True):
            connection.execute(
                f"UPDATE records SET ({columns}) = (?, ?, ?, ?) WHERE {place} AND seq = {seq}", row
            )

    return run


@pytest.mark.parametrize(("away", "to"), [(4, 12), (12, 4), (1, LENGTH), (LENGTH, 1), (5, 7)])
def test_a_record_that_was_moved_is_found(scene: Scene, away: int, to: int) -> None:
    first, last = sorted((away, to))
    step = -1 if away < to else 1
    between = f"run = 1 AND seq BETWEEN {first} AND {last}"
    found = scene.verify(
        f"UPDATE records SET seq = 100000 {at(away)}",
        f"UPDATE records SET seq = -seq WHERE {between}",
        f"UPDATE records SET seq = -seq + {step} WHERE run = 1 AND seq < 0",
        f"UPDATE records SET seq = {to} {at(100000)}",
    )
    assert (found.fault, found.first_bad_seq) == ("reordered", first)


def test_a_record_that_was_moved_to_the_end_is_found(scene: Scene) -> None:
    found = scene.verify(f"UPDATE records SET seq = 500 {at(6)}")
    assert (found.fault, found.first_bad_seq) == ("reordered", 6)
    assert found.problem == "record 6 was moved: it stands at 500"


@pytest.mark.parametrize(("here", "there"), [(1, 1), (9, 9), (LENGTH, LENGTH), (3, 22), (25, 2)])
def test_records_exchanged_between_two_runs_are_found_in_both(
    scene: Scene, here: int, there: int
) -> None:
    steps = (
        f"UPDATE records SET run = 3 {at(here)}",
        f"UPDATE records SET run = 1, seq = {here} {at(there, run=2)}",
        f"UPDATE records SET run = 2, seq = {there} {at(here, run=3)}",
    )
    found = scene.verify(*steps)
    assert (found.fault, found.first_bad_seq) == ("foreign", here)
    assert f"it is record {there} of run {scene.other}" in str(found.problem)
    other = Journal(scene.copied).verify(scene.other)
    assert (other.fault, other.first_bad_seq) == ("foreign", there)
    assert f"it is record {here} of run {scene.run}" in str(other.problem)


@pytest.mark.parametrize(("here", "there"), [(9, 9), (3, 22)])
def test_contents_exchanged_between_two_runs_are_found(scene: Scene, here: int, there: int) -> None:
    with scene.copy() as connection:
        exchange("run = 1", here, there, other="run = 2")(connection)
    found = Journal(scene.copied).verify(scene.run)
    assert (found.fault, found.first_bad_seq) == ("foreign", here)
    assert f"it is record {there} of run {scene.other}" in str(found.problem)


def test_two_runs_exchanged_as_a_whole_are_found(scene: Scene) -> None:
    found = scene.verify(
        "UPDATE runs SET run_id = 'x' WHERE id = 1",
        "UPDATE runs SET run_id = '01RUN' WHERE id = 2",
        "UPDATE runs SET run_id = '02OTHER' WHERE id = 1",
    )
    assert (found.fault, found.first_bad_seq) == ("foreign", 1)
    assert f"it is record 1 of run {scene.other}" in str(found.problem)
    renamed = scene.verify("UPDATE runs SET run_id = '09' WHERE id = 1", run="09")
    assert (renamed.fault, renamed.first_bad_seq) == ("changed", 1)


def test_a_record_added_from_another_run_is_found(scene: Scene) -> None:
    found = scene.verify(f"UPDATE records SET run = 1, seq = {LENGTH + 1} {at(8, run=2)}")
    assert (found.fault, found.first_bad_seq) == ("foreign", LENGTH + 1)
    assert Journal(scene.copied).verify(scene.other).first_bad_seq == 8


@pytest.mark.parametrize("left", [0, 1, 11, LENGTH - 1])
def test_a_cut_log_is_found_against_its_head(scene: Scene, left: int) -> None:
    cut = f"DELETE FROM records WHERE run = 1 AND seq > {left}"
    alone = scene.verify(cut)
    assert alone.ok == (left > 0)
    assert alone.first_bad_seq == (None if left else 1)
    for head in (scene.anchor, scene.anchor.split()[4]):
        found = scene.verify(cut, head=head)
        assert (found.ok, found.fault, found.first_bad_seq) == (False, "cut", left + 1)
        assert (found.records, found.anchored_seq) == (left, None)
    what = scene.verify(cut, head=scene.anchor).problem
    first = f"records {left + 1} to {LENGTH} were" if left + 1 < LENGTH else f"record {LENGTH} was"
    assert str(what).startswith(f"{first} cut off")


@pytest.mark.parametrize("first", [1, 13, LENGTH])
def test_a_log_recomputed_as_a_whole_is_found_against_its_head(scene: Scene, first: int) -> None:
    early = next(Journal(scene.path).records(scene.run, after=9, limit=1))
    anchor = f"arkor-anchor v1 {scene.run} 10 {early.digest.hex()} {early.recorded_at}"
    with scene.copy() as connection:
        connection.execute(f"UPDATE records SET data = '{{}}' {at(first)}")
        rechain(connection, first)
    journal = Journal(scene.copied)
    assert journal.verify(scene.run).ok
    found = journal.verify(scene.run, scene.anchor)
    assert (found.fault, found.first_bad_seq, found.records) == ("rewritten", LENGTH, LENGTH)
    assert f"rewritten, at or before record {LENGTH}" in str(found.problem)
    bare = journal.verify(scene.run, scene.anchor.split()[4])
    assert (bare.ok, bare.first_bad_seq) == (False, LENGTH + 1)
    narrowed = journal.verify(scene.run, f"{scene.anchor}\n{anchor}")
    assert narrowed.first_bad_seq == (10 if first <= 10 else LENGTH)
    assert narrowed.anchored_seq == (None if first <= 10 else 10)


def test_the_first_of_a_break_and_a_rewriting_counts(scene: Scene) -> None:
    with scene.copy() as connection:
        connection.execute(f"UPDATE records SET data = '{{}}' {at(3)}")
        rechain(connection, 3)
        connection.execute(f"UPDATE records SET data = '[]' {at(20)}")
    records = list(Journal(scene.path).records(scene.run))
    lines = [
        f"arkor-anchor v1 {scene.run} {each.seq} {each.digest.hex()} {each.recorded_at}"
        for each in records
    ]
    journal = Journal(scene.copied)
    assert journal.verify(scene.run, lines[7]).first_bad_seq == 8
    assert journal.verify(scene.run, lines[1]).first_bad_seq == 20
    assert journal.verify(scene.run, lines[25]).first_bad_seq == 20


def test_a_head_that_is_none_is_refused(scene: Scene) -> None:
    word, version, run, seq, digest, when = scene.anchor.split()
    bad = {
        "": "no anchor",
        "# nothing": "no anchor",
        digest[:-1]: "neither a digest",
        f"{word} v2 {run} {seq} {digest} {when}": "newer Arkor",
        f"{word} {version} {run} 0 {digest} {when}": "neither a digest",
        f"{word} {version} {scene.other} {seq} {digest} {when}": f"of run {scene.other}",
        f"{word} {version} {run} 7 {digest} {when}": f"that of record {LENGTH}",
        f"{word} {version} {run} {seq} {digest} 2020-01-01T00:00:00.000000Z": "was changed",
    }
    for head, said in bad.items():
        with pytest.raises(ConfigError, match=said) as caught:
            Journal(scene.path).verify(scene.run, head)
        assert caught.value.field == "head"


def test_a_log_that_is_not_whole_is_not_anchored(scene: Scene) -> None:
    assert scene.anchor.startswith(f"arkor-anchor v1 {scene.run} {LENGTH} ")
    scene.verify(f"DELETE FROM records {at(4)}")
    with pytest.raises(JournalCorruptError, match="record 4 is missing"):
        Journal(scene.copied).anchor(scene.run)


def test_a_pruned_log_is_what_its_tombstone_says(scene: Scene) -> None:
    digest = scene.anchor.split()[4]
    head = f"x'{digest}'"
    gone = "DELETE FROM records WHERE run = 1"
    pruned = f"INSERT INTO pruned VALUES (1, '2026-01-01T00:00:00Z', {LENGTH}, {head}, NULL, NULL)"
    found = scene.verify(gone, pruned)
    assert (found.ok, found.records, found.head) == (True, LENGTH, digest)
    assert found.pruned_at == "2026-01-01T00:00:00Z"
    for given in (digest, scene.anchor):
        assert scene.verify(gone, pruned, head=given).anchored_seq == LENGTH
    assert scene.verify(pruned).fault == "inserted"
    damaged = scene.verify(gone, pruned.replace(head, "'x'"))
    assert (damaged.ok, damaged.fault) == (False, "changed")
    early = next(Journal(scene.path).records(scene.run, after=9, limit=1))
    line = f"arkor-anchor v1 {scene.run} 10 {early.digest.hex()} {early.recorded_at}"
    unknown = scene.verify(gone, pruned, head=line)
    assert (unknown.ok, unknown.fault, unknown.first_bad_seq) == (False, "pruned", 10)
    forged = scene.verify(gone, pruned.replace(head, "zeroblob(32)"), head=scene.anchor)
    assert (forged.ok, forged.fault, forged.first_bad_seq) == (False, "rewritten", LENGTH)


def test_a_long_log_is_verified_in_constant_memory(scene: Scene) -> None:
    writer = Writer(scene.path)
    for _ in range(5):
        big = [Entry("stream", "training.log", "x" * 1_000_000)] * 8
        writer.append(scene.run, big, epoch=1, durable=False)
    writer.append(scene.run, [event(n) for n in range(12_000)], epoch=1, durable=False)
    writer.close()
    tracemalloc.start()
    report = Journal(scene.path).verify(scene.run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.ok, report.records) == (True, LENGTH + 12_040)
    assert peak < 20_000_000


def test_reading_on_behind_a_text_that_is_none(scene: Scene) -> None:
    found: Any = scene.verify(
        f"UPDATE records SET data = CAST(x'ff' AS TEXT) {at(8)}",
        f"UPDATE records SET data = CAST(x'ff' AS TEXT) {at(15)}",
    )
    assert (found.fault, found.first_bad_seq) == ("changed", 8)
    assert found.problem == "record 8 was changed: its data is binary, and no text"
