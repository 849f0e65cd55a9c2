"""A run's course read bit by bit, and its figures summed up."""

import math
import statistics
from datetime import UTC, datetime
from pathlib import Path

import pytest
from run_scene import append, completed, course, running
from studio_app import browser, log, write_run

from arkor.core.record import Entry
from arkor.store.journal import open_journal
from arkor.studio.courses import Courses
from arkor.studio.listing import Asked, seconds_of
from arkor.studio.statistics import statistics_of, summed_up


def test_a_log_is_read_while_somebody_asks_and_sketched_first(home: Path) -> None:
    run_id = write_run(home, "long", *course(5_000))
    journal, courses = open_journal(home), Courses()
    with courses.of(journal, run_id, 10.0, to_draw=True) as found:
        assert found.waits
        sketch = found.curves(journal)
        assert 300 < len(sketch.series["loss"]) < 5_000
        read = found.read
    with courses.of(journal, run_id, 60.0, to_draw=True) as found:
        assert found.done
        assert read < found.read == journal.fold(run_id).records
        assert len(found.curves(journal).series["loss"]) == 5_000


def test_a_course_goes_on_with_its_run(home: Path) -> None:
    run_id = running(home)
    journal, courses = open_journal(home), Courses()
    with courses.of(journal, run_id, 10.0) as found:
        before = found.read
    append(home, run_id, log(41))
    with courses.of(journal, run_id, 10.0) as found:
        assert (found.read, found.done) == (before + 1, True)


def test_statistics_are_those_of_a_sample() -> None:
    values = [0.3 * each**1.5 for each in range(1, 51)]
    found = summed_up(values)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.deviation == pytest.approx(statistics.stdev(values))
    assert found.variance == pytest.approx(statistics.variance(values))
    assert found.half_width == pytest.approx(1.96 * statistics.stdev(values) / math.sqrt(50))
    assert summed_up([1.0, 2.0, 3.0, 4.0, 5.0]).p90 == pytest.approx(4.6)
    assert summed_up([1.0, 3.0]).half_width == pytest.approx(12.706 * math.sqrt(2 / 2))
    alone = summed_up([2.0])
    assert (alone.mean, alone.deviation, alone.p95) == (2.0, None, 2.0)


def test_statistics_leave_out_what_is_not_finite(home: Path) -> None:
    diverged = '{"type": "training.log", "step": 2, "loss": 1.0, "evalLoss": 1e309}'
    logs = (log(1), Entry("stream", "training.log", diverged, "12"), log(3, evalLoss=2.0))
    run_id = write_run(home, "one", *logs)
    found = statistics_of(open_journal(home).records(run_id))
    assert (found["loss"].count, found["eval_loss"].count) == (3, 1)


def test_files_to_keep(home: Path) -> None:
    run_id = completed(home, steps=20)
    client = browser(home)
    lines = client.get(f"/runs/{run_id}/export")
    assert lines.headers["content-disposition"] == f'attachment; filename="{run_id}.jsonl"'
    assert lines.content == b"".join(open_journal(home).export(run_id))
    assert client.get(f"/runs/{run_id}/export?format=csv").text.startswith("runId,seq,")
    assert client.get(f"/runs/{run_id}/export?format=exe").status_code == 400
    report = client.get(f"/runs/{run_id}/report.html")
    assert "attachment" in report.headers["content-disposition"]
    assert "the chain is intact" in report.text


def test_data_is_refused_in_words(home: Path) -> None:
    client = browser(home)
    for address, status in {
        "/api/figure": 400,
        "/api/figure?run=none": 404,
        "/api/figure?" + "run=a&" * 5: 400,
        "/api/runs/none/verification": 404,
        "/api/runs/none/statistics": 404,
    }.items():
        answer = client.get(address)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True), address


def test_an_address_asks_for_a_part_of_the_list() -> None:
    asked = Asked.of({"q": " a&b ", "status": "failed", "sort": "name", "page": "3"})
    assert asked.address() == "/runs?q=a%26b&status=failed&sort=name"
    assert asked.address(page=4, status="all") == "/runs?q=a%26b&sort=name&page=4"
    assert Asked.of({"status": "<b>", "sort": "?", "page": "-1"}) == Asked()


def test_durations_are_those_the_backend_said() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    times = {"startedAt": "2026-11-24T11:00:00Z", "endedAt": None}
    assert seconds_of({"status": "running", **times}, now) == 3600
    assert seconds_of({"status": "failed", **times}, now) is None
    assert seconds_of({"status": "queued", "startedAt": None, "endedAt": None}, now) is None
    ended = {
        "status": "completed",
        "startedAt": "2026-11-24T11:00:00",
        "endedAt": times["startedAt"],
    }
    assert seconds_of(ended, now) == 0
    assert seconds_of({**ended, "startedAt": "once"}, now) is None
