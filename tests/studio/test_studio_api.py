"""The runs as an API: listed, searched, followed; alone, and mounted in another application."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient
from studio_app import COMPLETED, browser, log, stream, write_run

from arkor.core.record import Entry
from arkor.errors import ConfigError
from arkor.store.writer import open_writer
from arkor.studio import create_app


def frames(text: str) -> list[tuple[str, str, Any]]:
    """Event, id and data of each frame."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return found


def test_runs_are_listed_filtered_and_paged(home: Path) -> None:
    names = ["alpha", "beta", "gamma", "delta"]
    ids = [write_run(home, name, COMPLETED, status="completed") for name in names]
    running = write_run(home, "Beta two", log(1))
    client = browser(home)

    assert client.get("/api/runs").json()["total"] == 5
    found = client.get("/api/runs?q=BETA").json()["runs"]
    assert [each["name"] for each in found] == ["Beta two", "beta"]
    assert [each["runId"] for each in client.get(f"/api/runs?q={ids[2]}").json()["runs"]] == [
        ids[2]
    ]
    (only,) = client.get("/api/runs?status=running").json()["runs"]
    assert (only["runId"], only["owner"]["state"]) == (running, "active")

    seen, before = [], ""
    while before is not None:
        page = client.get(f"/api/runs?limit=2&before={before}").json()
        seen += [each["runId"] for each in page["runs"]]
        before = page["next"]
    assert seen == [running, *reversed(ids)]


@pytest.mark.parametrize(
    "path",
    ["/api/runs?limit=x", "/api/runs?limit=-1", "/api/runs/@last/records?order=up"],
)
def test_a_wrong_question_is_a_sentence(home: Path, path: str) -> None:
    write_run(home, "one")
    answer = browser(home).get(path)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_one_run_is_what_the_command_line_says(home: Path) -> None:
    run_id = write_run(home, "one", log(1), log(2), COMPLETED, status="completed")
    said = browser(home).get("/api/runs/job-one").json()
    assert (said["runId"], said["status"], said["records"]) == (run_id, "completed", 5)
    assert said["latest"]["step"] == 2
    assert browser(home).get("/api/runs/none").status_code == 404


def test_what_json_has_not_is_null(home: Path) -> None:
    infinite = Entry("stream", "training.log", '{"type":"training.log","step":1,"loss":1e999}')
    run_id = write_run(home, "one", infinite)
    client = browser(home)
    said = client.get(f"/api/runs/{run_id}/records?type=training.log")
    assert said.json()["records"][0]["data"]["loss"] is None
    assert client.get(f"/api/runs/{run_id}").status_code == 200
    assert client.get("/api/overview").status_code == 200


def test_the_whole_log_is_searched_a_page_at_a_time(home: Path) -> None:
    strange = stream("log.line", text="100% of_it: Needle <b>")
    run_id = write_run(home, "one", *map(log, range(600)), strange, *map(log, range(600, 1200)))
    client = browser(home)

    def ask(**asked: Any) -> tuple[list[int], int]:
        said = client.get(f"/api/runs/{run_id}/records", params=asked).json()
        return [each["seq"] for each in said["records"]], said["total"]

    assert ask(q="needle") == ([603], 1)
    assert ask(q="100%") == ([603], 1)
    assert ask(q="of_it") == ([603], 1)
    assert ask(q="of%it") == ([], 0)
    assert ask(type="log.line") == ([603], 1)
    assert ask(type="training.log", limit=3) == ([3, 4, 5], 1200)
    assert ask(type="training.log", limit=3, after=5) == ([6, 7, 8], 1200)
    assert ask(order="newest", limit=2) == ([1202, 1203], 1203)
    assert ask(order="newest", limit=2, before=1202) == ([1200, 1201], 1203)
    assert ask(q="needle", after=603) == ([], 1)
    assert len(ask(limit=100000)[0]) == 500


def test_a_finished_run_is_streamed_to_its_end(home: Path) -> None:
    run_id = write_run(home, "one", *map(log, range(1100)), COMPLETED, status="completed")
    client = browser(home)
    answer = client.get(f"/api/runs/{run_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-transform" in answer.headers["cache-control"]
    *records, end = frames(answer.text)
    assert [int(seq) for _, seq, _ in records] == list(range(1, 1104))
    assert end == ("end", "", {})

    rest = client.get(f"/api/runs/{run_id}/events", headers={"Last-Event-ID": "1101"})
    assert [seq for _, seq, _ in frames(rest.text)] == ["1102", "1103", ""]
    again = client.get(f"/api/runs/{run_id}/events?after=1103")
    assert [kind for kind, _, _ in frames(again.text)] == ["end"]


def test_a_running_run_is_streamed_as_it_is_recorded(home: Path) -> None:
    run_id = write_run(home, "one", log(1))
    client = browser(home)
    end = threading.Timer(
        0.3,
        lambda: open_writer(home).append(
            run_id,
            [log(2), COMPLETED],
            epoch=None,
            durable=False,
            index={"status": "completed", "settled": True},
        ),
    )
    end.start()
    *_, last, ended = frames(client.get(f"/api/runs/{run_id}/events?after=2").text)
    end.join()
    assert (last[2]["type"], ended[0]) == ("training.completed", "end")


def test_the_stream_of_no_run_is_refused(home: Path) -> None:
    answer = browser(home).get("/api/runs/none/events")
    assert (answer.status_code, set(answer.json())) == (404, {"error"})


def test_the_document_names_every_path_and_field(home: Path) -> None:
    run_id = write_run(home, "one", log(1), COMPLETED, status="completed")
    client = browser(home)
    document = client.get("/api/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    state = client.get(f"/api/runs/{run_id}").json()
    assert set(schemas["RunState"]["properties"]) == set(state)
    (run,) = client.get("/api/runs").json()["runs"]
    assert set(schemas["Run"]["properties"]) == set(run)
    record, *_ = client.get(f"/api/runs/{run_id}/records").json()["records"]
    assert set(schemas["Record"]["properties"]) == set(record)
    for path in document["paths"]:
        assert client.get(path.replace("{id}", run_id)).status_code == 200


def mounted(home: Path, authorize: Any) -> TestClient:
    host = FastAPI()
    host.mount("/training", create_app(home=home, pages=False, authorize=authorize))
    return TestClient(host, base_url="https://service.example")


def test_another_application_lets_its_own_users_read(home: Path) -> None:
    run_id = write_run(home, "one", COMPLETED, status="completed")

    async def may_read(request: Request) -> bool:
        if request.headers.get("x-user") == "suspended":
            raise HTTPException(401, "ask the host")
        return request.headers.get("x-user") == "ann"

    client = mounted(home, may_read)
    assert client.get("/training/api/runs").status_code == 403
    client.headers["X-User"] = "ann"
    assert client.get("/training/api/runs").json()["total"] == 1
    assert client.get("/training/api/openapi.json").json()["servers"] == [{"url": "/training"}]
    assert frames(client.get(f"/training/api/runs/{run_id}/events").text)[-1][0] == "end"
    for path in ("/", "/runs", "/static/studio.css", "/api/overview", "/api/project"):
        answer = client.get(f"/training{path}")
        assert (answer.status_code, set(answer.json())) == (404, {"error"})
    for action in ("train", f"runs/{run_id}/cancel", f"runs/{run_id}/resume"):
        assert client.post(f"/training/api/{action}", json={}).status_code == 404
    client.headers["X-User"] = "suspended"
    assert client.get("/training/api/runs").json() == {"error": "ask the host"}


@pytest.mark.parametrize("verdict", [False, None, 0, 1, "yes"])
def test_only_true_lets_in(home: Path, verdict: Any) -> None:
    assert mounted(home, lambda request: verdict).get("/training/api/runs").status_code == 403


def test_who_may_read_must_be_said(home: Path) -> None:
    with pytest.raises(ConfigError, match="who may read"):
        create_app(home=home, pages=False)
    with pytest.raises(ConfigError, match="access"):
        create_app(home=home)
    with pytest.raises(ConfigError, match="access"):
        create_app(home=home, authorize=lambda request: True)


def test_a_log_that_has_grown_or_gone_is_told_as_it_is(home: Path) -> None:
    run_id = write_run(home, "one", log(1))
    client = browser(home)
    assert client.get(f"/api/runs/{run_id}").json()["latest"]["step"] == 1
    open_writer(home).append(run_id, [log(2), log(3)], epoch=None, durable=False)
    said = client.get(f"/api/runs/{run_id}").json()
    assert (said["latest"]["step"], said["records"]) == (3, 5)
    assert client.get(f"/api/runs/{run_id}").json() == said
