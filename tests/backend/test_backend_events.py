"""A job's events over the wire: numbered, kept, replayed, and ended with `end`."""

import json
import threading

import pytest


def test_events_are_numbered_named_and_dated(server) -> None:
    job_id = server.submit(steps=2)
    *events, end = server.events(job_id)
    events = [event for event in events if event.name != "ping"]
    assert (end.name, end.id) == ("end", None)
    assert [event.id for event in events] == [str(n) for n in range(1, len(events) + 1)]
    assert [event.name for event in events] == [
        "training.started",
        "training.log",
        "training.log",
        "training.log",
        "checkpoint.saved",
        "training.completed",
    ]
    for event in events:
        data = json.loads(event.data)
        assert (data["type"], data["jobId"]) == (event.name, job_id)
        assert data["timestamp"].endswith("Z")
    # The worker wrote NaN, which JSON does not have.
    assert json.loads(events[1].data)["learningRate"] is None


def test_the_head_says_that_nothing_may_hold_events_back(server) -> None:
    job_id = server.submit(steps=1)
    with server.http.stream("GET", f"/v1/jobs/{job_id}/events/stream") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"


def test_a_listener_gets_the_rest_after_each_place(server) -> None:
    job_id = server.submit(steps=3)
    server.finished(job_id)
    history = list(server.events(job_id))
    for place, event in enumerate(history[:-1], 1):
        assert list(server.events(job_id, after=event.id)) == history[place:]


@pytest.mark.parametrize("after", ["", "x", "-1", "0", "1e3", "9" * 30, "99", "1 2", "1.0"])
def test_an_id_that_nobody_was_given_means_everything(server, after) -> None:
    job_id = server.submit(steps=1)
    server.finished(job_id)
    assert list(server.events(job_id, after=after)) == list(server.events(job_id))


def test_events_arrive_while_the_job_runs_and_pings_between(server, tmp_path) -> None:
    gate = tmp_path / "gate"
    job_id = server.submit(steps=2, gate=str(gate))
    events = server.events(job_id)
    first = next(event for event in events if event.name != "ping")
    assert first.name == "training.started"
    assert [next(events).name for _ in range(2)] == ["ping", "ping"]
    gate.write_text("1")
    assert next(event for event in events if event.name != "ping").name == "training.log"
    gate.write_text("2")
    assert [*events][-1].name == "end"


def test_many_listen_at_once(server, tmp_path) -> None:
    gate = tmp_path / "gate"
    job_id = server.submit(steps=5, gate=str(gate))
    heard: list[list[str | None]] = []

    def listen() -> None:
        heard.append([event.id for event in server.events(job_id) if event.name != "ping"])

    threads = [threading.Thread(target=listen) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.write_text("5")
    for thread in threads:
        thread.join(20)
    assert len(heard) == 8
    assert all(ids == heard[0] for ids in heard)
    assert len(heard[0]) == 1 + 5 + 2 * 2 + 1 + 1


def test_a_history_longer_than_a_page_comes_whole(server) -> None:
    job_id = server.submit(steps=260)
    server.finished(job_id)
    ids = [int(event.id) for event in server.events(job_id) if event.id]
    assert ids == list(range(1, len(ids) + 1))
    assert len(ids) == 1 + 260 + 130 * 2 + 1


def test_a_listener_that_leaves_is_not_missed(server, tmp_path) -> None:
    gate = tmp_path / "gate"
    job_id = server.submit(steps=2, gate=str(gate))
    for _ in range(3):
        events = server.events(job_id)
        assert next(event for event in events if event.name != "ping").id == "1"
        events.close()
    gate.write_text("2")
    assert server.finished(job_id)["status"] == "completed"
