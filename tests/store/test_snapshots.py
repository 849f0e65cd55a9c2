"""States kept at records of a log: one that lies about it, or is damaged, is passed over."""

import sqlite3
from collections.abc import Callable

import pytest

from arkor.core.fold import fold_all
from arkor.core.record import Entry
from arkor.core.snapshot import dump_state
from arkor.core.state import INITIAL, RunState
from arkor.store.journal import Journal
from arkor.store.snapshots import keep_snapshot, read_snapshot
from arkor.store.writer import Writer


def logs(steps: int) -> list[Entry]:
    return [Entry("stream", "training.log", f'{{"step":{n}}}') for n in range(steps)]


def fold_of(writer: Writer, run: str, upto: int | None = None) -> RunState:
    """The state by the log alone."""
    return fold_all(Journal(writer.path).records(run, limit=upto))


def keep(writer: Writer, run: str, upto: int | None = None) -> RunState:
    state = fold_of(writer, run, upto)
    with writer.transaction(durable=False) as tx:
        keep_snapshot(tx, state)
    return state


def kept(writer: Writer, run: str, upto: int | None = None) -> RunState:
    """The state that is read back from a snapshot."""
    with Journal(writer.path)._door.connect() as connection:
        return read_snapshot(connection, run, upto)


def alter(writer: Writer, statement: str, *values: object) -> None:
    """What somebody else does to the file."""
    writer.close()
    connection = sqlite3.connect(writer.path)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.fixture
def run(writer: Writer, make_run: Callable[..., str]) -> str:
    run = make_run()
    writer.append(run, logs(10), epoch=1, durable=False)
    return run


def test_a_log_is_folded_from_the_last_snapshot_that_is_not_behind_what_is_asked_for(
    writer: Writer, run: str
) -> None:
    half = keep(writer, run, 5)
    assert kept(writer, run) == half
    assert kept(writer, run, 5) == half
    assert kept(writer, run, 4) is INITIAL
    assert Journal(writer.path).fold(run) == fold_of(writer, run)
    assert Journal(writer.path).fold(run, upto=7) == fold_of(writer, run, 7)


def test_a_snapshot_of_another_record_is_passed_over(writer: Writer, run: str) -> None:
    keep(writer, run, 5)
    alter(writer, "UPDATE snapshots SET seq = 7")
    assert kept(writer, run) is INITIAL
    assert Journal(writer.path).fold(run) == fold_of(writer, run)


def test_a_snapshot_of_another_run_is_passed_over(
    writer: Writer, run: str, make_run: Callable[..., str]
) -> None:
    keep(writer, run)
    other = make_run("other")
    writer.append(other, logs(10), epoch=1, durable=False)
    alter(writer, "UPDATE snapshots SET run = (SELECT id FROM runs WHERE name = 'other')")
    assert kept(writer, other) is INITIAL
    assert Journal(writer.path).fold(other) == fold_of(writer, other)


@pytest.mark.parametrize("change", ["replace(state, '\"step\":9', '\"step\":8')", "x'ff'", "7"])
def test_a_damaged_snapshot_is_passed_over(writer: Writer, run: str, change: str) -> None:
    keep(writer, run)
    alter(writer, f"UPDATE snapshots SET state = {change}")
    assert kept(writer, run) is INITIAL
    assert Journal(writer.path).fold(run) == fold_of(writer, run)


def test_a_damaged_snapshot_that_is_no_text_is_passed_over(writer: Writer, run: str) -> None:
    keep(writer, run)
    alter(writer, "UPDATE snapshots SET state = CAST(x'ff' || CAST(state AS BLOB) AS TEXT)")
    assert kept(writer, run) is INITIAL


def test_what_is_left_of_a_log_that_was_cut_is_in_nobodys_way(writer: Writer, run: str) -> None:
    keep(writer, run)
    alter(writer, "DELETE FROM records WHERE seq > 3")
    assert kept(writer, run) is INITIAL
    writer.append(run, logs(8), epoch=1, durable=False)
    state = keep(writer, run)
    assert state.records == 11
    assert kept(writer, run) == state


def test_a_state_that_cannot_be_written_down_is_not_kept(writer: Writer, run: str) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    state = RunState(**{**_fields(fold_of(writer, run)), "artifacts": (deep,)})
    with pytest.raises(RecursionError):
        dump_state(state)
    with writer.transaction(durable=False) as tx:
        keep_snapshot(tx, state)
    assert kept(writer, run) is INITIAL
    while deep:  # one by one: the interpreter must not go down all of them when they are freed
        deep = deep.pop()  # type: ignore[assignment]


def _fields(state: RunState) -> dict[str, object]:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}
