"""An endpoint's own URL, asked as OpenAI's clients ask."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Server

PLACE = "/v1/endpoints"
HELLO = [{"role": "user", "content": "hello there"}]


class Caller:
    """A client that has an endpoint's URL and a key, and nothing else of the backend."""

    def __init__(self, server: Server, slug: str, **more: Any) -> None:
        self.server = server
        target = {"kind": "base_model", "baseModel": "tiny"}
        body = {"slug": slug, "target": target, "authMode": "fixed_api_key"} | more
        answer = server.http.post(PLACE, json=body)
        assert answer.status_code == 201, answer.text
        self.made = answer.json()["deployment"]
        self.one = f"{PLACE}/{self.made['id']}"
        self.key = self.issue()
        self.http = httpx.Client(base_url=self.made["baseUrl"], timeout=60, trust_env=False)

    def issue(self) -> dict[str, Any]:
        answer = self.server.http.post(f"{self.one}/keys", json={"label": "test"})
        return dict(answer.json()["key"])

    def ask(self, text: str = "hello there", key: str | None = "", **more: Any) -> httpx.Response:
        """The answer; `key` is this endpoint's unless it is given, `None` for none."""
        body = {"model": "any", "messages": [{"role": "user", "content": text}]} | more
        used = self.key["plaintext"] if key == "" else key
        headers = {} if used is None else {"Authorization": f"Bearer {used}"}
        return self.http.post("/chat/completions", json=body, headers=headers)

    def change(self, **body: Any) -> None:
        assert self.server.http.patch(self.one, json=body).status_code == 200

    def who(self) -> list[Any]:
        return list(json.loads(self.ask("!who").json()["choices"][0]["message"]["content"]))

    def last_used(self) -> str | None:
        keys = self.server.http.get(f"{self.one}/keys").json()["keys"]
        used: str | None = next(key for key in keys if key["id"] == self.key["id"])["lastUsedAt"]
        return used


@pytest.fixture(scope="module")
def caller(server: Server) -> Iterator[Caller]:
    made = Caller(server, "asked")
    yield made
    made.http.close()


@pytest.fixture
def other(server: Server, request: pytest.FixtureRequest) -> Iterator[Caller]:
    """An endpoint for one test, which changes it."""
    made = Caller(server, "other")
    yield made
    made.http.close()
    server.http.delete(made.one)


def test_a_whole_answer_unless_a_stream_is_asked_for(caller) -> None:
    answer = caller.ask()
    assert answer.status_code == 200
    said = answer.json()
    assert said["object"] == "chat.completion"
    assert said["choices"][0]["message"]["content"] == "hellothere"
    assert caller.ask(stream=None).json()["object"] == "chat.completion"


def test_an_answer_in_chunks(caller) -> None:
    answer = caller.ask("a b c", stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert done == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks]
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in parsed]
    assert "".join(texts) == "abc"
    assert parsed[-1]["usage"]["total_tokens"] == 4


def test_the_key_goes_in_either_header(caller) -> None:
    key = caller.key["plaintext"]
    body = {"messages": HELLO}
    for headers in ({"x-api-key": key}, {"Authorization": f"bearer {key}"}):
        answer = caller.http.post("/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200


def test_no_other_text_opens_it(server, caller, other) -> None:
    wrong = [None, "x", caller.key["prefix"], other.key["plaintext"], server.token]
    for key in wrong:
        answer = caller.ask(key=key)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("invalid_api_key", "invalid_request_error")
        assert key is None or len(key) < 9 or key not in answer.text
    strange = {"Authorization": "Bearer k\xe4y".encode("latin-1")}
    answer = caller.http.post("/chat/completions", json={"messages": HELLO}, headers=strange)
    assert answer.status_code == 401


def test_a_key_opens_nothing_but_its_endpoint(server, caller) -> None:
    headers = {
        "Authorization": f"Bearer {caller.key['plaintext']}",
        "X-Arkor-Client": "arkor/0.1.0",
    }
    for path in ("/v1/me", PLACE, f"{caller.one}/keys", "/v1/inference/chat"):
        assert httpx.get(server.url + path, headers=headers, trust_env=False).status_code == 401
    for path in ("x/../../me", "../me", "%2E%2E/me", "asked/v1/models"):
        url = httpx.URL(server.url).copy_with(raw_path=f"/v1/endpoints-public/{path}".encode())
        assert httpx.get(url, headers=headers, trust_env=False).status_code in (401, 404)


def test_a_revoked_key_opens_nothing(other) -> None:
    second = other.issue()["plaintext"]
    other.server.http.delete(f"{other.one}/keys/{other.key['id']}")
    assert other.ask().status_code == 401
    assert other.ask(key=second).status_code == 200


def test_the_use_of_a_key_is_noted(other) -> None:
    assert other.last_used() is None
    assert other.ask(key="wrong").status_code == 401
    assert other.last_used() is None
    other.ask()
    first = other.last_used()
    assert first is not None
    assert first >= other.key["createdAt"]
    other.ask()
    assert other.last_used() == first  # to the minute


def test_a_public_endpoint_asks_for_no_key(other) -> None:
    other.change(authMode="none")
    assert other.ask(key=None).status_code == 200
    assert other.ask(key="whatever-the-client-sends").status_code == 200
    other.change(authMode="fixed_api_key")
    assert other.ask(key=None).status_code == 401


def test_a_disabled_endpoint_is_not_there(other) -> None:
    other.change(enabled=False)
    for key in ("", None):
        answer = other.ask(key=key)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "endpoint_not_found"
    other.change(enabled=True)
    assert other.ask().status_code == 200
    other.server.http.delete(other.one)
    assert other.ask().status_code == 404


def test_every_kind_of_target(server, other) -> None:
    assert other.who()[1:] == ["tiny", None]
    job_id = server.submit(steps=4, model="some/model")
    server.finished(job_id)
    folder = server.folder(job_id)
    adapter = {"kind": "final", "jobId": job_id}
    other.change(target={"kind": "adapter", "adapter": adapter})
    assert other.who()[1:] == ["some/model", str(folder / "adapter")]
    adapter = {"kind": "checkpoint", "jobId": job_id, "step": 2}
    other.change(target={"kind": "adapter", "adapter": adapter})
    assert other.who()[1:] == ["some/model", str(folder / "checkpoint-2")]


def test_the_request_cannot_choose_another_model(caller) -> None:
    body = {"baseModel": "mine", "adapter": {"kind": "final", "jobId": "x"}, "model": "mine"}
    answer = caller.ask("!who", **body)
    said = json.loads(answer.json()["choices"][0]["message"]["content"])
    assert said[1:] == ["tiny", None]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"n": 2}, "unsupported_parameter"),
        ({"logprobs": True}, "unsupported_parameter"),
        ({"stream": "yes"}, "invalid_request"),
    ],
)
def test_what_would_need_another_answer_is_refused(caller, more, code) -> None:
    answer = caller.ask(**more)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


def test_a_refusal_has_the_form_that_clients_read(caller) -> None:
    answer = caller.ask("!refuse")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_schema",
        }
    }
    broken = caller.ask("a !die")
    assert (broken.status_code, broken.json()["error"]["type"]) == (500, "server_error")
    key = {"Authorization": f"Bearer {caller.key['plaintext']}"}
    answer = caller.http.post("/chat/completions", content=b"{", headers=key)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]["message"]
    for path, status in (("/chat/completions", 405), ("/models", 404)):
        answer = caller.http.get(path)
        assert answer.status_code == status
        assert path in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("http://localhost:3000", 200),
    ],
)
def test_a_web_page_from_elsewhere_is_refused(caller, origin, status) -> None:
    headers = {"Origin": origin, "Authorization": f"Bearer {caller.key['plaintext']}"}
    answer = caller.http.post("/chat/completions", json={"messages": HELLO}, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_another_host_is_refused(caller) -> None:
    headers = {"Host": "evil.example", "Authorization": f"Bearer {caller.key['plaintext']}"}
    answer = caller.http.post("/chat/completions", json={"messages": HELLO}, headers=headers)
    assert answer.status_code == 403
