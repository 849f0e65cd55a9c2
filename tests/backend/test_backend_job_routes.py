"""Submitting, reading and cancelling jobs over the wire."""

import json
import stat
from datetime import datetime

import pytest
from serving import config_of

from arkor.core.wire import parse_job


def test_a_job_is_accepted_trained_and_shown(server) -> None:
    config = config_of(steps=2, unknown={"kept": True})
    answer = server.http.post("/v1/jobs", json={"name": "first", "config": config})
    assert answer.status_code == 201
    accepted = parse_job(answer.json()["job"])
    assert (accepted.name, accepted.status, accepted.config) == ("first", "queued", config)

    ended = parse_job(server.finished(accepted.id))
    assert ended.status == "completed"
    assert ended.error is None
    times = [ended.created_at, ended.started_at, ended.completed_at]
    assert sorted(datetime.fromisoformat(str(time)) for time in times) == [
        datetime.fromisoformat(str(time)) for time in times
    ]
    assert all(str(time).endswith("Z") for time in times)


def test_jobs_are_listed_newest_first(server) -> None:
    ids = [server.submit(steps=1) for _ in range(3)]
    listed = [job["id"] for job in server.http.get("/v1/jobs").json()["jobs"]]
    assert listed[:3] == ids[::-1]


def test_a_read_shows_the_last_50_events(server) -> None:
    job_id = server.submit(steps=60)
    sent = [event for event in server.events(job_id) if event.id]
    shown = server.http.get(f"/v1/jobs/{job_id}").json()["events"]
    assert [event["id"] for event in shown] == [event.id for event in sent][-50:]
    assert shown[-1]["type"] == "training.completed"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "config": config_of()},
        {"name": 1, "config": config_of()},
        {"name": "x", "config": []},
        {"name": "x", "config": config_of(model=None)},
        {"name": "x", "config": config_of(model="")},
        {"name": "x", "config": config_of(datasetSource="file")},
        {"name": "x", "config": {"model": "tiny"}},
    ],
)
def test_what_is_no_job_is_refused(server, body) -> None:
    answer = server.http.post("/v1/jobs", json=body)
    assert answer.status_code == 400
    assert "`" in answer.json()["error"]


def test_a_job_is_seen_in_its_project_alone(server) -> None:
    job_id = server.submit(steps=1)
    server.http.post("/v1/projects", json={"name": "other", "slug": "other"})
    other = {"projectSlug": "other"}
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/events/stream"):
        assert server.http.get(path, params=other).status_code == 404
    assert server.http.post(f"/v1/jobs/{job_id}/cancel", params=other).status_code == 404
    assert server.http.get("/v1/jobs", params=other).json() == {"jobs": []}


@pytest.mark.parametrize("job_id", ["nope", "a%2Fb%20c", "..%2F..%2Fx"])
def test_a_job_that_is_not_there(server, job_id) -> None:
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/events/stream"):
        answer = server.http.get(path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_a_project_that_is_not_there(server) -> None:
    answer = server.http.get("/v1/jobs", params={"projectSlug": "nowhere"})
    assert answer.status_code == 404
    assert "nowhere" in answer.json()["error"]


def test_one_key_is_one_job(server) -> None:
    body = {"name": "job", "config": config_of(steps=1)}
    headers = {"Idempotency-Key": "key-1"}
    first = server.http.post("/v1/jobs", json=body, headers=headers)
    again = server.http.post("/v1/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["job"]["id"] == again.json()["job"]["id"]
    assert again.json()["job"]["idempotencyKey"] == "key-1"

    for other in (body | {"name": "x"}, body | {"config": config_of(steps=2)}):
        answer = server.http.post("/v1/jobs", json=other, headers=headers)
        assert answer.status_code == 409
        assert answer.json()["error"] == "idempotency_key_reused"
        assert first.json()["job"]["id"] in answer.json()["message"]


def test_a_key_belongs_to_its_project(server) -> None:
    server.http.post("/v1/projects", json={"name": "third", "slug": "third"})
    job_id = server.submit(key="shared", steps=1)
    body = {"name": "job", "config": config_of(steps=1)}
    answer = server.http.post(
        "/v1/jobs",
        json=body,
        headers={"Idempotency-Key": "shared"},
        params={"projectSlug": "third"},
    )
    assert answer.status_code == 201
    assert answer.json()["job"]["id"] != job_id


def test_a_datasets_token_is_for_the_training_process_alone(server) -> None:
    secret = "secret-of-the-dataset"
    source = {"type": "blob", "url": "https://x.example/d.jsonl", "token": secret}
    answer = server.http.post(
        "/v1/jobs", json={"name": "job", "config": config_of(steps=1, datasetSource=source)}
    )
    job_id = answer.json()["job"]["id"]
    job = server.finished(job_id)
    shown = source | {"token": "***"}
    assert answer.json()["job"]["config"]["datasetSource"] == shown
    assert job["config"]["datasetSource"] == shown
    assert secret not in server.http.get("/v1/jobs").text

    order = server.folder(job_id) / "job.json"
    seen = json.loads((server.folder(job_id) / "seen.json").read_text())
    assert seen["config"]["datasetSource"] == source
    assert seen["home"] == str(server.home / "backend")
    assert stat.S_IMODE(order.stat().st_mode) == 0o600
    (server.folder(job_id) / "seen.json").unlink()
    assert secret not in order.read_text()
    for path in server.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_waiting_job_is_cancelled_at_once(server, tmp_path) -> None:
    busy = server.submit(gate=str(tmp_path / "gate"))
    waiting = server.submit(datasetSource={"type": "blob", "token": "a-token"})
    assert server.cancel(waiting).json() == {"ok": True}
    job = server.job(waiting)
    assert (job["status"], job["startedAt"]) == ("cancelled", None)
    assert job["completedAt"]
    assert [event.name for event in server.events(waiting)] == ["end"]
    assert "a-token" not in (server.folder(waiting) / "job.json").read_text()

    (tmp_path / "gate").write_text("99")
    assert server.finished(busy)["status"] == "completed"
    assert not (server.folder(waiting) / "pids").exists()


def test_a_job_that_has_ended_cannot_be_cancelled(server) -> None:
    job_id = server.submit(steps=1)
    server.finished(job_id)
    answer = server.cancel(job_id)
    assert answer.status_code == 409
    assert "completed" in answer.json()["error"]
