"""Chat: the body that is sent, and the answers, whole and in pieces."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from arkor.client.api import CloudApiClient
from arkor.client.chat import InferResult, build_chat_body, chat, stream_chat
from arkor.core.wire import Adapter, Scope, frame
from arkor.errors import BackendUnreachableError, CloudApiError, ConfigError, ProtocolError
from arkor.testing import (
    Answer,
    Cut,
    ScriptedBackend,
    ScriptedServer,
    Step,
    answer_json,
    event_stream,
)

SCOPE = Scope("org", "project")
TOKEN = "secret-token-0123456789"
MESSAGES = [{"role": "user", "content": "Hello?"}]
BODY = build_chat_body(MESSAGES, base_model="arkor/tiny")


@dataclass(frozen=True)
class Bearer:
    token: str = TOKEN


@asynccontextmanager
async def client(server: ScriptedServer) -> AsyncIterator[CloudApiClient]:
    async with CloudApiClient(server.url, Bearer()) as api:
        yield api


def whole(answer: Answer) -> InferResult:
    async def run() -> InferResult:
        async with client(server) as api:
            return await chat(api, SCOPE, BODY)

    with ScriptedServer() as server:
        server.on("POST", "/v1/inference/chat", answer)
        return asyncio.run(run())


def pieces(*steps: Step) -> list[str]:
    async def run() -> list[str]:
        async with client(server) as api:
            return [text async for text in stream_chat(api, SCOPE, BODY)]

    with ScriptedServer() as server:
        server.on("POST", "/v1/inference/chat", event_stream(*steps))
        return asyncio.run(run())


def data(value: Any, event: str = "message") -> bytes:
    return frame(event, value if isinstance(value, str) else json.dumps(value))


def delta(text: str) -> bytes:
    return data({"choices": [{"index": 0, "delta": {"content": text}}]})


def test_what_is_not_given_is_left_out() -> None:
    adapter = Adapter("checkpoint", "job-1", 7)
    assert build_chat_body(MESSAGES, adapter=adapter) == {
        "messages": MESSAGES,
        "adapter": {"kind": "checkpoint", "jobId": "job-1", "step": 7},
        "stream": False,
    }


def test_everything_that_is_given_is_sent() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    body = build_chat_body(
        MESSAGES,
        base_model="m",
        temperature=0.0,
        top_p=0.5,
        max_tokens=3,
        tools=[tool],
        tool_choice="auto",
        response_format={"type": "json_object"},
        structured_outputs={"choice": ["a", "b"], "whitespace_pattern": " "},
        stream=True,
    )
    assert body == {
        "messages": MESSAGES,
        "baseModel": "m",
        "temperature": 0.0,
        "topP": 0.5,
        "maxTokens": 3,
        "tools": [tool],
        "toolChoice": "auto",
        "responseFormat": {"type": "json_object"},
        "structuredOutputs": {"choice": ["a", "b"], "whitespace_pattern": " "},
        "stream": True,
    }


@pytest.mark.parametrize("both", [True, False])
def test_one_model_is_asked(both: bool) -> None:
    chosen: dict[str, Any] = {"adapter": Adapter("final", "j"), "base_model": "m"} if both else {}
    with pytest.raises(ConfigError, match="exactly one") as caught:
        build_chat_body(MESSAGES, **chosen)
    assert caught.value.field == "adapter"


@pytest.mark.parametrize(
    "given", [{}, {"json": {}, "regex": "a"}, {"whitespace_pattern": " "}, {"json": None}]
)
def test_one_constraint_is_set(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="exactly one") as caught:
        build_chat_body(MESSAGES, base_model="m", structured_outputs=given)
    assert caught.value.field == "structured_outputs"


def test_a_whole_answer() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": '{"a": 1}', "tool_calls": calls}
    body = {"choices": [{"index": 0, "message": message}], "usage": {"total_tokens": 3}}
    result = whole(answer_json(body))
    assert (result.text, result.json()) == ('{"a": 1}', {"a": 1})
    assert result.tool_calls == tuple(calls)
    assert result.usage == {"total_tokens": 3}
    assert result.body == body


def test_an_answer_without_text_is_empty() -> None:
    for body in ({}, {"choices": []}, {"choices": [{"message": {"content": None}}]}):
        result = InferResult(body)
        assert (result.text, result.tool_calls, result.usage) == ("", (), None)
        with pytest.raises(ProtocolError, match="not JSON"):
            result.json()


def test_a_refusal_is_an_error_whatever_its_status() -> None:
    with pytest.raises(CloudApiError) as refused:
        whole(answer_json({"error": "invalid_schema"}, 400))
    assert (refused.value.status, refused.value.code) == (400, "invalid_schema")
    with pytest.raises(CloudApiError, match="too long") as inside:
        whole(answer_json({"error": {"message": "too long", "code": "context"}}))
    assert inside.value.code == "context"
    with pytest.raises(ProtocolError):
        whole(Answer(200, {}, b"Hello"))


def test_a_chat_is_asked_once_only() -> None:
    async def run() -> None:
        async with client(server) as api:
            await api.chat(SCOPE, BODY)

    with ScriptedServer() as server:
        server.on("POST", "/v1/inference/chat", Answer(503))
        with pytest.raises(CloudApiError):
            asyncio.run(run())
        [request] = server.requests
        assert request.target == "/v1/inference/chat?orgSlug=org&projectSlug=project"
        assert request.json()["stream"] is False


def test_text_in_pieces_from_every_form() -> None:
    assert pieces(
        delta("a"),
        data("ping", "ping"),
        data(""),
        data('"b"'),
        data({"content": "c"}, "token"),
        data({"text": "d"}),
        data("plain e"),
        data({"choices": []}),
        data({"choices": ["odd"], "usage": {}}),
        data({"choices": [{"delta": {"role": "assistant", "content": None}}]}),
        data("7"),
        delta(" é"),
        data("[DONE]"),
        delta("never"),
    ) == ["a", "b", "c", "d", "plain e", " é"]


def test_an_end_frame_ends_and_so_does_the_end() -> None:
    assert pieces(delta("a"), data("", "end"), delta("never")) == ["a"]
    assert pieces(delta("a"), delta("b")) == ["a", "b"]
    assert pieces() == []


def test_an_error_in_the_middle_is_raised() -> None:
    with pytest.raises(CloudApiError, match="out of memory") as caught:
        pieces(delta("a"), data({"error": {"message": "out of memory", "code": 503}}))
    assert caught.value.status == 503
    with pytest.raises(CloudApiError, match="overloaded"):
        pieces(data({"error": "overloaded"}))


@pytest.mark.parametrize("error", [f"no {TOKEN}", {"message": f"no {TOKEN}", "code": TOKEN}])
def test_an_error_inside_an_answer_holds_no_token(error: object) -> None:
    for ask in (
        lambda: pieces(delta("a"), data({"error": error})),
        lambda: whole(answer_json({"error": error})),
    ):
        with pytest.raises(CloudApiError) as caught:
            ask()
        assert "no [redacted]" in str(caught.value)
        assert TOKEN not in f"{caught.value.code} {caught.value}"


def test_a_broken_connection_is_no_end() -> None:
    with pytest.raises(BackendUnreachableError, match="broke off"):
        pieces(delta("a"), Cut())


def test_against_the_scripted_backend() -> None:
    async def run() -> tuple[str, list[str]]:
        async with client(backend) as api:
            answer = await api.chat(SCOPE, BODY)
            return answer.text, [text async for text in api.stream_chat(SCOPE, BODY)]

    with ScriptedBackend(chat="one two") as backend:
        assert asyncio.run(run()) == ("one two", ["one ", "two"])


def test_leaving_early_closes_the_connection() -> None:
    async def run() -> str:
        async with client(server) as api, aclosing(stream_chat(api, SCOPE, BODY)) as answer:
            text = await anext(answer)
        # Nothing of ours is left behind.
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return text

    with ScriptedServer() as server:
        server.on("POST", "/v1/inference/chat", event_stream(*[delta("a")] * 1000))
        assert asyncio.run(run()) == "a"
