"""What of a connection's frames is new: each event enters the log exactly once."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from arkor.client.sse import Frame, Oversize
from arkor.core.fold import fold_all
from arkor.core.notes import (
    StreamConflict,
    StreamGap,
    StreamOpened,
    SubmitRequested,
    Submitted,
    entry_of,
    read_note,
)
from arkor.core.record import Record
from arkor.core.redact import mask
from arkor.core.state import INITIAL, RunState
from arkor.runner.intake import Intake, Taken
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import Writer

TOKEN = "ark_live_0123456789abcdef"
SALT = b"salt"
JOB = {
    "id": "job-1",
    "orgId": "o",
    "projectId": "p",
    "name": "a run",
    "status": "queued",
    "config": {},
    "createdAt": "2026-01-01T00:00:00Z",
}


def frame(data: str, id: str | None = None, event: str = "message") -> Frame:
    return Frame(event, data, id, None, len(data))


def step(number: int, id: str | None = None, **more: Any) -> Frame:
    return frame(json.dumps({"type": "training.log", "step": number, **more}), id)


def large(digest: str, id: str | None = None) -> Oversize:
    return Oversize(17_000_000, digest, id, "training.log")


@dataclass
class Log:
    """A run's log in a real journal, and the connections that bring to it."""

    journal: Journal
    writer: Writer
    run_id: str
    state: RunState = INITIAL
    intake: Intake = field(init=False)

    def connect(self) -> "Log":
        self.append([entry_of(StreamOpened(self.state.last_event_id))])
        self.intake = Intake.after(self.state, self.journal, frozenset({TOKEN}), SALT)
        return self

    def bring(self, *frames: Frame | Oversize) -> Taken:
        taken = self.intake.take(frames)
        self.append(taken.entries)
        return taken

    def append(self, entries: Sequence[Any]) -> None:
        records = self.writer.append(self.run_id, entries, epoch=1, durable=False)
        self.state = fold_all(records, self.state)

    @property
    def records(self) -> list[Record]:
        """What connections brought: the stream's records and the notes on them."""
        every = self.journal.records(self.run_id, after=2)
        return [each for each in every if each.type != StreamOpened.TYPE]

    @property
    def events(self) -> list[tuple[str | None, str]]:
        return [(each.sse_id, each.data) for each in self.records if each.source == "stream"]

    @property
    def notes(self) -> list[object]:
        return [read_note(each) for each in self.records if each.source == "local"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    writer = Writer(tmp_path / "arkor.db")
    run = NewRun(name="a run", project_root="/r", org_slug="o", project_slug="p", fingerprint="f")
    wish = SubmitRequested("a run", {}, "f", "K", "u", "o", "p", "/r", ("main",))
    with writer.transaction(durable=True) as tx:
        made = tx.create_run(run, [entry_of(wish), entry_of(Submitted(JOB))], current_owner())
    journal = Journal(writer.path)
    yield Log(journal, writer, made.run_id, fold_all(made.records)).connect()
    journal.close()
    writer.close()


def pairs(*frames: Frame) -> list[tuple[str | None, str]]:
    return [(each.id, each.data) for each in frames]


def test_events_are_kept_verbatim_with_their_own_ids(log: Log) -> None:
    odd = frame('{ "type":\t"a.new.type",\n"x": 1.50 }', "7")
    named = frame('{"status":"running"}', None, "status")
    log.bring(odd, named)
    assert log.events == pairs(odd, named)
    assert [record.type for record in log.records] == ["a.new.type", "status"]


@pytest.mark.parametrize("ids", [True, False])
def test_a_backend_that_starts_over_is_recorded_once(log: Log, ids: bool) -> None:
    frames = [step(n // 2, str(n + 1) if ids else None) for n in range(8)]
    log.bring(*frames[:3])
    log.bring(*frames[3:5])
    for batches in ([frames[:2], frames[2:]], [frames], [[each] for each in frames]):
        log.connect()
        for batch in batches:
            log.bring(*batch)
    assert log.events == pairs(*frames)
    assert log.notes == []
    assert log.intake.repeated == 8


def test_with_some_ids_a_backend_that_starts_over_is_recorded_once(log: Log) -> None:
    frames = [step(1, "a"), step(2), step(2), step(3, "b"), step(4)]
    log.bring(*frames)
    log.connect().bring(*frames, step(5))
    log.connect().bring(*frames, step(5), step(6, "c"))
    assert log.events == pairs(*frames, step(5), step(6, "c"))


def test_with_some_ids_a_backend_that_goes_on_is_recorded_once(log: Log) -> None:
    log.bring(step(1, "1"), step(2), step(2))
    log.connect().bring(step(2), step(2), step(2), step(3, "2"))
    assert log.events == pairs(step(1, "1"), *[step(2)] * 3, step(3, "2"))


def test_events_without_ids_are_matched_in_their_place_only(log: Log) -> None:
    log.bring(step(1), step(2))
    log.connect().bring(step(2), step(1))
    assert log.events == pairs(step(1), step(2), step(2), step(1))


def test_in_one_connection_the_same_event_without_an_id_is_another(log: Log) -> None:
    log.bring(step(1), step(1))
    log.bring(step(1))
    assert len(log.events) == 3
    log.connect().bring(step(1))
    log.bring(step(1), step(1), step(1))
    assert len(log.events) == 4


def test_an_id_that_is_reset_means_none(log: Log) -> None:
    frames = [step(1, "1"), step(2, ""), step(3)]
    log.bring(*frames)
    assert log.state.last_event_id is None
    log.connect().bring(*frames, step(4, "2"))
    assert log.events == pairs(*frames, step(4, "2"))


@pytest.mark.parametrize("id", ["7", "x"])
@pytest.mark.parametrize("apart", ["one batch", "two batches", "two connections"])
def test_the_same_id_is_recorded_once_with_the_same_bytes(log: Log, id: str, apart: str) -> None:
    bring(log, apart, step(1, id), step(1, id))
    assert (log.events, log.notes) == (pairs(step(1, id)), [])
    assert log.intake.repeated == 1


@pytest.mark.parametrize("id", ["7", "x"])
@pytest.mark.parametrize("apart", ["one batch", "two batches", "two connections"])
def test_with_other_bytes_it_is_recorded_again_and_noted(log: Log, id: str, apart: str) -> None:
    bring(log, apart, step(1, id), step(2, id))
    assert log.events == pairs(step(1, id), step(2, id))
    first = log.records[0].seq if apart != "one batch" else None
    assert log.notes == [StreamConflict(id, first)]
    assert log.records[-1].type == StreamConflict.TYPE


def test_a_conflict_is_recorded_once_however_often_it_comes(log: Log) -> None:
    frames = [step(1, "7"), step(2, "7"), step(1, "7"), step(2, "7")]
    log.bring(*frames)
    log.bring(*frames)
    log.connect().bring(*frames)
    assert log.events == pairs(*frames[:2])
    assert log.notes == [StreamConflict("7")]


def bring(log: Log, apart: str, first: Frame, second: Frame) -> None:
    if apart == "one batch":
        log.bring(first, second)
        return
    log.bring(first)
    if apart == "two connections":
        log.connect()
    log.bring(second)


def test_ids_that_skip_are_noted_before_the_event(log: Log) -> None:
    log.bring(step(1, "3"), step(2, "4"), step(3, "7"))
    log.connect().bring(step(4, "9"))
    assert log.notes == [StreamGap("4", "7"), StreamGap("7", "9")]
    kinds = [record.type for record in log.records]
    assert kinds[2:] == [StreamGap.TYPE, "training.log"] * 2


def test_ids_that_are_no_numbers_skip_nothing(log: Log) -> None:
    log.bring(*(step(n, own) for n, own in enumerate(["1", "a", "2026-01-01T00:00:01Z", "9" * 30])))
    assert log.notes == []


def test_an_id_that_goes_back_is_recorded_and_is_no_gap_afterwards(log: Log) -> None:
    frames = [step(5, "5"), step(3, "3"), step(6, "6")]
    log.bring(*frames)
    assert (log.events, log.notes) == (pairs(*frames), [])
    assert (log.state.last_event_id, log.state.highest_id) == ("6", 6)
    log.connect().bring(*frames, step(7, "7"))
    assert (log.events, log.notes) == (pairs(*frames, step(7, "7")), [])


def test_after_an_id_that_went_back_the_repeats_are_known(log: Log) -> None:
    log.bring(step(4, "4"), step(5, "5"), step(3, "3"))
    assert log.state.last_event_id == "3"
    log.connect().bring(step(4, "4"), step(5, "5"), step(6, "6"))
    assert [own for own, _ in log.events] == ["4", "5", "3", "6"]
    assert log.notes == []


def test_an_event_too_large_is_noted_once_and_the_stream_goes_on(log: Log) -> None:
    for _ in range(2):
        log.bring(step(1, "1"), large("ab", "2"), large("ab", "2"), step(3, "3"))
        log.connect()
    assert [own for own, _ in log.events] == ["1", "3"]
    assert [record.sse_id for record in log.records] == ["1", "2", "3"]
    assert (log.intake.malformed, log.state.last_event_id) == (0, "3")
    log.bring(large("cd", "2"))
    assert log.notes[-1] == StreamConflict("2", log.records[1].seq)


def test_without_an_id_it_is_matched_by_its_place_too(log: Log) -> None:
    frames = [step(1), large("ab"), step(2), large("cd")]
    log.bring(*frames)
    log.connect().bring(*frames, step(3))
    assert len(log.records) == 5


@pytest.mark.parametrize(
    "last",
    [
        frame('{"type":"training.completed"}', "2"),
        frame('{"type":"training.failed","error":"e"}', "2"),
        frame("", None, "end"),
    ],
)
def test_nothing_behind_the_last_frame_is_looked_at(log: Log, last: Frame) -> None:
    taken = log.bring(step(1, "1"), last, step(3, "3"))
    assert (taken.terminal, taken.ended) == (last.event != "end", last.event == "end")
    assert log.events == pairs(step(1, "1"), last)
    assert log.state.terminal == taken.terminal


def test_an_end_is_recorded_each_time_unless_its_id_says_it_is_the_same(log: Log) -> None:
    for own in (None, None, "9", "9"):
        taken = log.bring(frame("{}", own, "end"))
        assert taken.ended
        assert not taken.progress
        log.connect()
    assert [(record.type, record.sse_id) for record in log.records] == [
        ("end", None),
        ("end", None),
        ("end", "9"),
    ]


def test_a_malformed_end_of_a_run_does_not_end_it(log: Log) -> None:
    other = frame('{"type":"training.completed","jobId":"job-2"}', "1")
    taken = log.bring(other, frame('{"type":"training.failed"}', "2"), step(1, "3"))
    assert not taken.terminal
    assert (len(log.events), log.intake.malformed, log.intake.events) == (3, 2, 1)


@pytest.mark.parametrize("data", ["not json", "null", "[]", '{"type":"training.log"}', ""])
def test_malformed_frames_are_kept_counted_and_no_progress(log: Log, data: str) -> None:
    taken = log.bring(frame(data, "1"))
    assert (log.events, log.intake.malformed, log.intake.events) == ([("1", data)], 1, 0)
    assert not taken.progress
    assert log.bring(step(1, "2")).progress


def test_pings_are_counted_and_kept_nowhere(log: Log) -> None:
    taken = log.bring(frame("", None, "ping"), frame('{"type":"x"}', "5", "ping"))
    assert (log.records, log.intake.pings, taken.progress) == ([], 2, False)


@pytest.mark.parametrize(
    "spell",
    [lambda own: step(1, own, echo=f"Bearer {TOKEN}"), lambda own: frame("{}", own, f"x-{TOKEN}")],
    ids=["in the data", "in the name"],
)
@pytest.mark.parametrize("id", ["1", None, f"id-{TOKEN}"])
def test_secrets_are_replaced_before_anything_is_compared(
    log: Log, id: str | None, spell: Callable[[str | None], Frame]
) -> None:
    log.bring(spell(id))
    log.bring() if id is None else log.bring(spell(id))
    log.connect().bring(spell(id))
    (record,) = log.records
    kept = f"{record.type} {record.sse_id} {record.data}"
    assert TOKEN not in kept
    assert mask(TOKEN, SALT) in kept
    assert log.intake.repeated == 1
