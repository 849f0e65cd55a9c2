"""The training process seen from the backend: how it may end, and how it is made to."""

import os
import signal
import sqlite3

import pytest
from serving import alive, until


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("fail", ["`optim`: there is no 'adamm'"]),
        ("die", ["exit code 3", "nothing of it runs any more", "Traceback: it broke"]),
        ("silent", ["exit code 0", "before it had finished"]),
        ("nonsense", ["could not be used"]),
    ],
)
def test_a_job_fails_with_the_reason(server, then, words) -> None:
    job_id = server.submit(steps=1, then=then)
    *_, failed, end = server.events(job_id)
    assert (failed.name, end.name) == ("training.failed", "end")
    job = server.job(job_id)
    assert job["status"] == "failed"
    assert all(word in job["error"] for word in words)
    assert job["error"] in failed.data.encode().decode("unicode_escape")
    until(lambda: not alive(server.pids(job_id)[0]), "the process still runs")


def test_a_killed_training_process_fails_its_job(server) -> None:
    job_id = server.submit(steps=2, gate="/nowhere")
    server.wait_for(job_id, type="training.started")
    os.kill(server.pids(job_id)[0], signal.SIGKILL)
    assert "SIGKILL" in server.finished(job_id)["error"]


@pytest.mark.parametrize("how", ["saving", "unsaving"])
def test_a_process_that_somebody_else_ends_is_followed_by_another(server, tmp_path, how) -> None:
    gate = tmp_path / "gate"
    job_id = server.submit(steps=1, gate=str(gate), **{how: True})
    server.wait_for(job_id, type="training.started")
    os.kill(server.pids(job_id)[0], signal.SIGTERM)
    until(lambda: len(server.pids(job_id)) == 2, "no other process")
    gate.write_text("1")
    assert server.finished(job_id)["status"] == "completed"


def test_one_job_trains_at_a_time_in_their_order(server, tmp_path) -> None:
    gate = tmp_path / "gate"
    first, second, third = (server.submit(steps=1, gate=str(gate)) for _ in range(3))
    server.wait_for(first, type="training.started")
    assert [server.job(job)["status"] for job in (first, second, third)] == [
        "running",
        "queued",
        "queued",
    ]
    gate.write_text("1")
    jobs = [server.finished(job) for job in (first, second, third)]
    assert [job["status"] for job in jobs] == ["completed"] * 3
    started = [job["startedAt"] for job in jobs]
    assert started == sorted(started)
    assert jobs[0]["completedAt"] <= jobs[1]["startedAt"]


def test_two_slots_train_two_jobs(start) -> None:
    server = start(slots=2)
    jobs = [server.submit(steps=1, gate="/nowhere") for _ in range(2)]
    for job in jobs:
        server.wait_for(job, type="training.started")
    assert [server.job(job)["status"] for job in jobs] == ["running"] * 2


def test_a_cancelled_job_saves_and_ends(server) -> None:
    job_id = server.submit(steps=9, gate="/nowhere")
    server.wait_for(job_id, type="training.started")
    assert server.cancel(job_id).status_code == 200
    *_, end = server.events(job_id)
    assert end.name == "end"
    job = server.job(job_id)
    assert (job["status"], job["error"]) == ("cancelled", None)
    assert job["completedAt"] >= job["startedAt"]
    assert (server.folder(job_id) / "checkpoint").read_text() == "0"


def test_a_process_that_does_not_listen_is_killed(server) -> None:
    job_id = server.submit(steps=9, gate="/nowhere", deaf=True)
    server.wait_for(job_id, type="training.started")
    server.cancel(job_id)
    assert server.finished(job_id)["status"] == "cancelled"
    assert not alive(server.pids(job_id)[0])


def test_the_training_processs_own_words_are_kept(server) -> None:
    job_id = server.submit(steps=1, then="die")
    server.finished(job_id)
    assert "it broke" in (server.folder(job_id) / "trainer.log").read_text()


def test_a_training_process_that_cannot_be_started(start) -> None:
    server = start(train_command=["/no/such/program"])
    job = server.finished(server.submit())
    assert job["status"] == "failed"
    assert "/no/such/program" in job["error"]


def test_an_event_that_cannot_be_stored_is_stored_later(server, tmp_path) -> None:
    gate = tmp_path / "gate"
    job_id = server.submit(steps=4, gate=str(gate))
    server.wait_for(job_id, type="training.started")
    database = sqlite3.connect(server.home / "backend" / "backend.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    gate.write_text("4")
    log = server.home / "backend" / "backend.log"
    until(lambda: f"job {job_id} waits" in log.read_text(), "it does not wait")
    refused = server.http.post("/v1/projects", json={"name": "x", "slug": "x"})
    assert refused.status_code == 503
    assert "backend.db" in refused.json()["error"]
    database.execute("ROLLBACK")
    database.close()
    assert server.finished(job_id)["status"] == "completed"
    assert len([event for event in server.events(job_id) if event.name == "training.log"]) == 6
