"""Who gets in: host, client version, token; and that every refusal is JSON."""

import json
from collections.abc import Iterator

import httpx
import pytest

GOOD = {"X-Arkor-Client": "arkor/0.1.0"}


@pytest.fixture(scope="module")
def stranger(server) -> Iterator[httpx.Client]:
    """A client that brings nothing."""
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/auth/anonymous"),
        ("GET", "/v1/auth/cli/config"),
        ("GET", "/v1/me"),
        ("GET", "/v1/projects"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/x/events/stream"),
        ("POST", "/v1/inference/chat"),
        ("PUT", "/v1/datasets/x"),
        ("GET", "/no/such/route"),
    ],
)
@pytest.mark.parametrize("token", [None, "Bearer", "Bearer wrong", "Basic x", "Bearer \xe4"])
def test_without_the_token_nothing_is_answered(server, stranger, method, path, token) -> None:
    headers = GOOD if token is None else GOOD | {"Authorization": token.encode("latin-1")}
    answer = stranger.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert "server.json" in answer.json()["error"]
    assert server.token not in answer.text


def test_health_needs_nothing(stranger) -> None:
    answer = stranger.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80@evil"])
@pytest.mark.parametrize("path", ["/healthz", "/v1/me"])
def test_another_host_is_refused(server, host, path) -> None:
    answer = server.http.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "127.0.0.1" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:99", "127.0.0.1"])
def test_a_loopback_host_is_welcome(server, host) -> None:
    assert server.http.get("/v1/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("arkor", "malformed"),
        ("arkor/1", "malformed"),
        ("arkor/0.1.0a1", "malformed"),
        ("curl/8.0.0", "malformed"),
    ],
)
def test_a_client_must_say_its_version(server, stranger, client, reason) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    if client is not None:
        headers["X-Arkor-Client"] = client
    answer = stranger.get("/v1/me", headers=headers)
    assert answer.status_code == 426
    assert answer.json() == {
        "error": "sdk_version_unsupported",
        "currentVersion": "unknown",
        "supportedRange": "*",
        "upgrade": "pip install -U arkor",
        "reason": reason,
    }


@pytest.mark.parametrize("client", ["arkor/0.0.3-alpha.1", "arkor/1.2.3+local", "arkor/10.0.0"])
def test_semantic_versions_are_understood(server, client) -> None:
    assert server.http.get("/v1/me", headers={"X-Arkor-Client": client}).status_code == 200


def test_what_is_not_there_is_json_too(server) -> None:
    answer = server.http.get("/v1/nothing")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    answer = server.http.delete("/v1/jobs")
    assert (answer.status_code, list(answer.json())) == (405, ["error"])
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"name": NaN}',
        b'[{"a": 1e999}]',
        b'{"name": "\\ud800"}',
        b"[" * 9999,
    ],
)
def test_a_body_that_is_no_json_object_is_refused(server, body) -> None:
    for path in ("/v1/projects", "/v1/jobs", "/v1/inference/chat"):
        answer = server.http.post(path, content=body)
        assert answer.status_code == 400
        assert "body" in answer.json()["error"]


def test_a_body_without_end_is_refused(server) -> None:
    answer = server.http.post("/v1/jobs", content=b'"' + b"x" * (17 << 20))
    assert answer.status_code == 413
    assert json.loads(answer.text)["error"]
