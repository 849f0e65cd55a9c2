"""The scripted backend over a plain HTTP client: what it sends is what the script says."""

import hashlib
import threading

import httpx
import pytest

from arkor.testing import (
    Answer,
    Call,
    Cut,
    Forever,
    Received,
    ScriptedBackend,
    ScriptedServer,
    Until,
    Wait,
    answer_json,
    event_stream,
    lost,
)

SCOPE = {"orgSlug": "o", "projectSlug": "p"}
RUN = [
    {"type": "training.started"},
    {"type": "training.log", "step": 1, "loss": 2.5},
    Cut(),
    {"type": "training.log", "step": 2, "loss": 2.0},
    {"type": "training.completed"},
]


def create(backend: ScriptedBackend, key: str | None = None) -> str:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = httpx.post(
        f"{backend.url}/v1/jobs",
        params=SCOPE,
        headers=headers,
        json={"name": "n", "config": {"model": "m"}},
    )
    job_id = response.json()["job"]["id"]
    assert isinstance(job_id, str)
    return job_id


def stream(backend: ScriptedBackend, job_id: str, last: str = "") -> tuple[str, bool]:
    """The text that came, and whether it broke off."""
    text = ""
    url = f"{backend.url}/v1/jobs/{job_id}/events/stream"
    with httpx.stream("GET", url, headers={"Last-Event-ID": last} if last else {}) as response:
        try:
            for piece in response.iter_text():
                text += piece
        except httpx.RemoteProtocolError:
            return text, True
    return text, False


def ids(text: str) -> list[str]:
    return [line[4:] for line in text.split("\n") if line.startswith("id: ")]


def test_a_cut_happens_once_and_the_rest_comes_after_the_last_event_id() -> None:
    with ScriptedBackend(RUN) as backend:
        job = create(backend)
        first, broke = stream(backend, job)
        assert (ids(first), broke) == (["1", "2"], True)
        assert httpx.get(f"{backend.url}/v1/jobs/{job}").json()["job"]["status"] == "running"
        second, broke = stream(backend, job, "2")
        assert (ids(second), broke) == (["3", "4"], False)
        assert second.endswith("event: end\ndata: {}\n\n")
        assert httpx.get(f"{backend.url}/v1/jobs/{job}").json()["job"]["status"] == "completed"


def test_a_backend_that_ignores_the_last_event_id_and_has_no_ids() -> None:
    with ScriptedBackend(RUN[:2], last_event_id=False, end=False) as backend:
        assert ids(stream(backend, create(backend), "2")[0]) == ["1", "2"]
    with ScriptedBackend(RUN[:2], ids=False) as backend:
        text, _ = stream(backend, create(backend))
        assert ids(text) == []
        assert text.count('"jobId": "job-1"') == 2


def test_idempotency_keys_are_obeyed_or_not() -> None:
    with ScriptedBackend() as backend:
        assert create(backend, "k") == create(backend, "k") != create(backend)
    with ScriptedBackend(idempotency=False) as backend:
        assert create(backend, "k") != create(backend, "k")
        assert list(backend.jobs) == ["job-1", "job-2"]


def test_an_answer_that_gets_lost_has_had_its_effect() -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/jobs", lost(backend.create_job), backend.create_job)
        with pytest.raises(httpx.RemoteProtocolError):
            create(backend, "k")
        assert create(backend, "k") == "job-1"


def test_a_cancelled_job_is_cancelled_once() -> None:
    with ScriptedBackend() as backend:
        url = f"{backend.url}/v1/jobs/{create(backend)}/cancel"
        assert httpx.post(url).status_code == 200
        assert backend.cancelled.is_set()
        assert httpx.post(url).status_code == 409
        assert httpx.post(f"{backend.url}/v1/jobs/nope/cancel").status_code == 404


def test_a_token_is_demanded_everywhere_but_where_one_is_issued() -> None:
    with ScriptedBackend(token="right-token") as backend:
        assert httpx.get(f"{backend.url}/v1/me").status_code == 401
        issued = httpx.post(f"{backend.url}/v1/auth/anonymous", json={"kind": "cli"}).json()
        headers = {"Authorization": f"Bearer {issued['token']}"}
        assert httpx.get(f"{backend.url}/v1/me", headers=headers).status_code == 200


def test_projects_datasets_and_chat() -> None:
    content = b'{"prompt": "a", "completion": "b"}\n'
    digest = hashlib.sha256(content).hexdigest()
    with ScriptedBackend(chat="one two") as backend, httpx.Client(base_url=backend.url) as http:
        project = {"name": "P", "slug": "p"}
        assert http.post("/v1/projects", params=SCOPE, json=project).status_code == 201
        assert http.post("/v1/projects", params=SCOPE, json=project).status_code == 409
        assert http.get("/v1/projects", params=SCOPE).json()["projects"][0]["slug"] == "p"
        assert http.head(f"/v1/datasets/{digest}").status_code == 404
        assert http.put(f"/v1/datasets/{digest}", content=b"other").status_code == 400
        assert http.put(f"/v1/datasets/{digest}", content=iter([content])).status_code == 201
        assert http.put(f"/v1/datasets/{digest}", content=content).status_code == 200
        assert backend.datasets == {digest: content}
        whole = http.post("/v1/inference/chat", json={"stream": False}).json()
        assert whole["choices"][0]["message"]["content"] == "one two"
        assert http.post("/v1/inference/chat", json={"stream": True}).text.count("data: ") == 3


def test_answers_come_in_turn_and_the_last_one_stays() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/a/{b}", Answer(503, {"Retry-After": "1"}), answer_json({"ok": True}))
        seen = [httpx.get(f"{server.url}/a/x%2Fy?q=1").status_code for _ in range(3)]
        assert seen == [503, 200, 200]
        assert httpx.get(f"{server.url}/a/b/c").status_code == 404
        first = server.requests[0]
        assert (first.path, first.query, first.target) == ("/a/x%2Fy", {"q": "1"}, "/a/x%2Fy?q=1")


def test_every_step_is_carried_out() -> None:
    gate, called = threading.Event(), threading.Event()
    with ScriptedServer() as server:
        server.on("GET", "/", event_stream(b"a", Call(called.set), Until(gate), Wait(0), b"b"))
        with httpx.stream("GET", server.url + "/") as response:
            pieces = response.iter_text()
            assert next(pieces) == "a"
            assert called.wait(10)
            gate.set()
            assert "".join(pieces) == "b"


def test_a_server_closes_though_an_answer_is_still_waiting() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/", event_stream(b"a", Forever()))
        with (
            httpx.Client() as http,
            http.stream("GET", server.url + "/") as response,
        ):
            assert next(response.iter_text()) == "a"
            assert len(server.wait_for_requests(1)) == 1


def test_a_reset_is_a_reset() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/", Answer(before=(Cut(reset=True),)))
        with pytest.raises(httpx.ReadError):
            httpx.get(server.url + "/")


def test_an_error_in_the_script_is_raised_at_the_end() -> None:
    def broken(request: Received) -> Answer:
        raise LookupError(request.path)

    with pytest.raises(LookupError, match="/x"), ScriptedServer() as server:
        server.on("GET", "/x", broken)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.url}/x")


def test_waiting_for_requests_that_do_not_come() -> None:
    with ScriptedServer() as server, pytest.raises(TimeoutError, match="0 of 1"):
        server.wait_for_requests(1, timeout=0.01)
