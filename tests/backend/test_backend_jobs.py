"""The backend's own database."""

import sqlite3

import pytest

from arkor.backend.jobs import Jobs, new_job_id
from arkor.errors import ArkorError


@pytest.fixture
def jobs(tmp_path):
    opened = Jobs(tmp_path / "backend.db")
    yield opened
    opened.close()


@pytest.fixture
def job_id(jobs) -> str:
    project = jobs.create_project("demo", "demo")
    return jobs.create(new_job_id(), project, "job", {"model": "m"}, None).id


def numbers(jobs, job_id) -> list[tuple[int, str]]:
    return [(event.number, event.type) for event in jobs.events(job_id, after=0, limit=99)]


def test_what_a_resumed_process_says_again_is_dropped(jobs, job_id) -> None:
    log = {"type": "training.log", "step": 1, "loss": 1.0}
    assert jobs.append(job_id, {"type": "training.started"})
    assert jobs.append(job_id, log)
    assert jobs.append(job_id, {"type": "training.log", "step": 1, "evalLoss": 2.0})
    assert jobs.append(job_id, {"type": "checkpoint.saved", "step": 1})
    assert not jobs.append(job_id, {"type": "training.started", "metadata": {}})
    assert not jobs.append(job_id, log | {"loss": 1.1})
    assert not jobs.append(job_id, {"type": "training.log", "step": 1, "evalLoss": 2.5})
    assert jobs.append(job_id, log | {"step": 2})
    assert [number for number, _ in numbers(jobs, job_id)] == [1, 2, 3, 4, 5]


def test_events_without_a_name_are_all_kept(jobs, job_id) -> None:
    assert jobs.append(job_id, {"type": "note", "text": "a"})
    assert jobs.append(job_id, {"type": "note", "text": "a"})


def test_nothing_follows_the_terminal_event(jobs, job_id) -> None:
    jobs.mark_running(job_id)
    assert jobs.append(job_id, {"type": "training.failed", "error": "no"})
    assert not jobs.append(job_id, {"type": "training.log", "step": 1})
    jobs.mark_cancelled(job_id)
    jobs.mark_running(job_id)
    job = jobs.get(job_id)
    assert (job.status, job.error) == ("failed", "no")
    assert numbers(jobs, job_id) == [(1, "training.failed")]


def test_everything_is_there_after_it_is_opened_again(jobs, job_id, tmp_path) -> None:
    jobs.mark_running(job_id)
    jobs.append(job_id, {"type": "training.log", "step": 1})
    before = jobs.get(job_id)
    jobs.close()
    again = Jobs(tmp_path / "backend.db")
    assert again.get(job_id) == before
    assert again.append(job_id, {"type": "training.log", "step": 2})
    assert [number for number, _ in numbers(again, job_id)] == [1, 2]
    again.close()


def test_those_that_ran_go_first(jobs, job_id) -> None:
    project = jobs.projects()[0]
    second, third = (jobs.create(new_job_id(), project, "j", {}, None).id for _ in range(2))
    jobs.mark_running(third)
    assert jobs.unfinished() == [third, job_id, second]


def test_each_change_is_told(tmp_path) -> None:
    told: list[str] = []
    jobs = Jobs(tmp_path / "db", told.append)
    job_id = jobs.create("id", jobs.create_project("p", "p"), "j", {}, None).id
    jobs.mark_running(job_id)
    jobs.append(job_id, {"type": "training.log", "step": 1})
    jobs.append(job_id, {"type": "training.log", "step": 1})
    jobs.mark_cancelled(job_id)
    assert told == ["id"] * 3
    jobs.close()


def test_another_releases_database_is_left_alone(tmp_path) -> None:
    path = tmp_path / "backend.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(ArkorError, match="upgrade Arkor"):
        Jobs(path)


def test_a_damaged_database_is_named(tmp_path) -> None:
    path = tmp_path / "backend.db"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(ArkorError, match=r"backend\.db failed") as caught:
        Jobs(path)
    assert caught.value.__cause__ is not None
