"""Deployments and their keys: what is asked, what comes back, and what is never said."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import pytest

from arkor.client.api import CloudApiClient
from arkor.core.deployments import DeploymentChanges, NewDeployment
from arkor.core.targets import DeploymentTarget
from arkor.core.wire import Adapter, Scope
from arkor.errors import CloudApiError, ConfigError, ProtocolError
from arkor.testing import Answer, ScriptedServer, answer_json

T = TypeVar("T")
SCOPE = Scope("org", "project")
QUERY = "?orgSlug=org&projectSlug=project"
FINAL = DeploymentTarget.of(Adapter("final", "job-1"))
DEPLOYMENT = {
    "id": "d-1",
    "slug": "triage",
    "orgId": "org-1",
    "projectId": "project-1",
    "target": FINAL.to_wire(),
    "authMode": "fixed_api_key",
    "urlFormat": "openai_compat",
    "enabled": True,
    "customDomain": None,
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
}
PLAINTEXT = "ark_live_abcd1234secretsecretsecret"
ISSUED = {
    "id": "k-1",
    "label": "laptop",
    "plaintext": PLAINTEXT,
    "prefix": "ark_live_abcd1234",
    "createdAt": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Bearer:
    token: str = field(default="secret-token-0123456789", repr=False)


def call(url: str, ask: Callable[[CloudApiClient], Awaitable[T]], token: str | None = None) -> T:
    async def run() -> T:
        async with CloudApiClient(url, Bearer(token) if token else Bearer()) as api:
            return await ask(api)

    return asyncio.run(run())


def test_what_is_asked_is_what_the_protocol_says() -> None:
    async def run(api: CloudApiClient) -> None:
        new = NewDeployment("triage", FINAL, run_retention_mode="unlimited")
        assert (await api.create_deployment(SCOPE, new)).slug == "triage"
        assert [each.id for each in await api.list_deployments(SCOPE)] == ["d-1"]
        assert (await api.get_deployment(SCOPE, "d/1")).target == FINAL
        await api.update_deployment(SCOPE, "d-1", DeploymentChanges(enabled=False))
        assert (await api.create_deployment_key(SCOPE, "d-1", " laptop ")).plaintext == PLAINTEXT
        [key] = await api.list_deployment_keys(SCOPE, "d-1")
        assert PLAINTEXT not in repr(key)
        await api.revoke_deployment_key(SCOPE, "d-1", "../k")
        await api.delete_deployment(SCOPE, "d-1")

    one, keys = "/v1/endpoints/{id}", "/v1/endpoints/{id}/keys"
    listed = ISSUED | {"enabled": True, "lastUsedAt": None}
    with ScriptedServer() as server:
        server.on("GET", "/v1/endpoints", answer_json({"deployments": [DEPLOYMENT], "page": 1}))
        server.on("POST", "/v1/endpoints", answer_json({"deployment": DEPLOYMENT}, 201))
        for method in ("GET", "PATCH"):
            server.on(method, one, answer_json({"deployment": DEPLOYMENT}))
        server.on("DELETE", one, Answer(204))
        server.on("GET", keys, answer_json({"keys": [listed]}))
        server.on("POST", keys, answer_json({"key": ISSUED}, 201))
        server.on("DELETE", f"{keys}/{{key}}", Answer(204))
        call(server.url, run)
        asked = [(request.method, request.target, request.body) for request in server.requests]
        bodies = [request.json() for request in server.requests if request.body]
    assert [(method, target) for method, target, _ in asked] == [
        ("POST", f"/v1/endpoints{QUERY}"),
        ("GET", f"/v1/endpoints{QUERY}"),
        ("GET", f"/v1/endpoints/d%2F1{QUERY}"),
        ("PATCH", f"/v1/endpoints/d-1{QUERY}"),
        ("POST", f"/v1/endpoints/d-1/keys{QUERY}"),
        ("GET", f"/v1/endpoints/d-1/keys{QUERY}"),
        ("DELETE", f"/v1/endpoints/d-1/keys/..%2Fk{QUERY}"),
        ("DELETE", f"/v1/endpoints/d-1{QUERY}"),
    ]
    assert bodies == [
        {
            "slug": "triage",
            "target": FINAL.to_wire(),
            "authMode": "fixed_api_key",
            "runRetentionMode": "unlimited",
        },
        {"enabled": False},
        {"label": "laptop"},
    ]


def test_a_wrong_label_is_never_sent() -> None:
    with ScriptedServer() as server:
        with pytest.raises(ConfigError, match="label"):
            call(server.url, lambda api: api.create_deployment_key(SCOPE, "d-1", "x" * 81))
        assert server.requests == []


def issue(api: CloudApiClient) -> Awaitable[object]:
    return api.create_deployment_key(SCOPE, "d-1", "laptop")


def list_keys(api: CloudApiClient) -> Awaitable[object]:
    return api.list_deployment_keys(SCOPE, "d-1")


@pytest.mark.parametrize("ask", [issue, list_keys])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, f"key: {PLAINTEXT}".encode()),
        Answer(200, {}, f'["{PLAINTEXT}"]'.encode()),
        Answer(409, {}, f"key: {PLAINTEXT}".encode()),
        answer_json({"key": ISSUED | {"id": 7}, "keys": [ISSUED | {"id": 7}]}),
        answer_json({"key": [PLAINTEXT], "keys": PLAINTEXT}),
    ],
)
def test_a_plaintext_stands_in_no_error(
    ask: Callable[[CloudApiClient], Awaitable[object]], answer: Answer
) -> None:
    with ScriptedServer() as server:
        for method in ("GET", "POST"):
            server.on(method, "/v1/endpoints/{id}/keys", answer)
        with pytest.raises((ProtocolError, CloudApiError)) as caught:
            call(server.url, ask)
    assert PLAINTEXT not in "".join(traceback.format_exception(caught.value))


def test_a_key_is_asked_for_once_only() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/endpoints/{id}/keys", Answer(503))
        with pytest.raises(CloudApiError):
            call(server.url, issue)
        assert len(server.requests) == 1


@pytest.mark.parametrize("body", [{}, {"deployments": {}}, {"deployments": [{}]}])
def test_an_answer_that_is_not_the_protocol(body: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/endpoints", answer_json(body))
        with pytest.raises(ProtocolError):
            call(server.url, lambda api: api.list_deployments(SCOPE))


def test_against_the_embedded_backend(backend) -> None:
    scope = Scope("local", "demo")

    async def run(api: CloudApiClient) -> None:
        await api.create_project("local", "demo", "demo")
        new = NewDeployment("tiny", DeploymentTarget.of("arkor/tiny"))
        made = await api.create_deployment(scope, new)
        with pytest.raises(CloudApiError) as taken:
            await api.create_deployment(scope, new)
        assert taken.value.status == 409
        key = await api.create_deployment_key(scope, made.id, "test")
        asked = {"model": "any", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

            async def status(text: str) -> int:
                headers = {"Authorization": f"Bearer {text}"}
                return (await client.post(made.url, json=asked, headers=headers)).status_code

            assert await status(backend.token) == 401
            assert await status(key.plaintext) == 200
            [listed] = await api.list_deployment_keys(scope, made.id)
            assert listed.last_used_at is not None
            await api.revoke_deployment_key(scope, made.id, key.id)
            assert await status(key.plaintext) == 401
        disabled = await api.update_deployment(scope, made.id, DeploymentChanges(enabled=False))
        assert await api.list_deployments(scope) == [disabled]
        assert await api.get_deployment(scope, made.id) == disabled
        await api.delete_deployment(scope, made.id)
        assert await api.list_deployments(scope) == []

    call(backend.url, run, backend.token)
