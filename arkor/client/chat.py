"""Asking a model: what is sent, the whole answer, or its text piece by piece."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from arkor.client.addresses import path_of
from arkor.client.answers import excerpt, read_object, strike
from arkor.client.sse import EventDecoder, Frame, Oversize
from arkor.client.transport import HasTransport, Request
from arkor.core.wire import Adapter, Scope
from arkor.errors import BackendUnreachableError, CloudApiError, ConfigError, ProtocolError

__all__ = ["InferResult", "build_chat_body", "chat", "stream_chat"]

READ_TIMEOUT: Final = 600.0
"""A model may have to be loaded before it says its first word."""


@dataclass(frozen=True, slots=True)
class InferResult:
    """A whole answer. `body` is the OpenAI-shaped chat completion as it came."""

    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The assistant's text; empty if it only called tools."""
        content = self._message.get("content")
        return content if isinstance(content, str) else ""

    @property
    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """The calls the assistant asks for."""
        calls = self._message.get("tool_calls")
        return tuple(calls) if isinstance(calls, list) else ()

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """Token counts, where the backend reports them."""
        usage = self.body.get("usage")
        return usage if isinstance(usage, dict) else None

    def json(self) -> Any:
        """The text, parsed. Raises `ProtocolError` if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise ProtocolError(f"the answer is not JSON: {excerpt(self.text, ())}") from error

    @property
    def _message(self) -> Mapping[str, Any]:
        match self.body:
            case {"choices": [{"message": dict(message)}, *_]}:
                return message
        return {}


def build_chat_body(
    messages: Sequence[Mapping[str, Any]],
    *,
    adapter: Adapter | None = None,
    base_model: str | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    response_format: Mapping[str, Any] | None = None,
    structured_outputs: Mapping[str, Any] | None = None,
    stream: bool = False,
) -> dict[str, Any]:
    """The body of a chat request; what is not given is left out.

    Raises `ConfigError` unless exactly one of `adapter` and `base_model` is given.
    """
    if (adapter is None) == (base_model is None):
        raise ConfigError("give exactly one of `adapter` and `base_model`", field="adapter")
    given = {
        "adapter": adapter.to_wire() if adapter else None,
        "baseModel": base_model,
        "temperature": temperature,
        "topP": top_p,
        "maxTokens": max_tokens,
        "tools": None if tools is None else [dict(tool) for tool in tools],
        "toolChoice": tool_choice,
        "responseFormat": response_format,
        "structuredOutputs": _one_constraint(structured_outputs),
    }
    body: dict[str, Any] = {"messages": [dict(message) for message in messages], "stream": stream}
    body.update((key, value) for key, value in given.items() if value is not None)
    return body


_CONSTRAINTS: Final = ("json", "regex", "choice", "grammar", "json_object")


def _one_constraint(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if given is not None and sum(given.get(key) is not None for key in _CONSTRAINTS) != 1:
        raise ConfigError(
            f"`structured_outputs` takes exactly one of {', '.join(_CONSTRAINTS)}",
            field="structured_outputs",
        )
    return given


async def chat(api: HasTransport, scope: Scope, body: Mapping[str, Any]) -> InferResult:
    """Ask, and wait for the whole answer.

    Raises `CloudApiError` for a refusal, `ProtocolError` if the answer is no chat completion.
    """
    response = await api.transport.send(_request(scope, {**body, "stream": False}))
    value = read_object(response, api.transport.secrets)
    if isinstance(error := value.get("error"), (str, dict)):
        raise _refusal(error, response.status_code, api.transport.secrets)
    return InferResult(value)


async def stream_chat(
    api: HasTransport, scope: Scope, body: Mapping[str, Any]
) -> AsyncGenerator[str, None]:
    """Ask, and yield the answer's text as it comes.

    Whoever may leave before the end does so in `contextlib.aclosing`, which closes the
    connection there and then.

    Raises `CloudApiError` for a refusal, also one in the middle of the answer, and
    `BackendUnreachableError` if the connection breaks.
    """
    request = _request(scope, {**body, "stream": True})
    async with api.transport.open(request) as response:
        decoder = EventDecoder()
        try:
            async for chunk in response.aiter_bytes():
                for event in decoder.feed(chunk):
                    if _is_last(event):
                        return
                    if text := _text(event, api.transport.secrets):
                        yield text
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise BackendUnreachableError(
                f"the answer of {api.transport.host} broke off: {error or type(error).__name__}"
            ) from error


def _request(scope: Scope, body: Mapping[str, Any]) -> Request:
    path = path_of("v1", "inference", "chat")
    return Request("POST", path, scope.to_query(), json=body, read_timeout=READ_TIMEOUT)


def _is_last(event: Frame | Oversize) -> bool:
    return isinstance(event, Frame) and (event.event == "end" or event.data == "[DONE]")


def _text(event: Frame | Oversize, secrets: frozenset[str]) -> str:
    """What one event adds to the answer."""
    if isinstance(event, Oversize):
        raise ProtocolError(f"one piece of the answer has {event.length} bytes")
    if event.event == "ping":
        return ""
    try:
        value = json.loads(event.data) if event.data else ""
    except ValueError:
        return event.data
    match value:
        case str():
            return value
        case {"error": (str() | dict()) as error}:
            raise _refusal(error, 500, secrets)
        case {"choices": [{"delta": {"content": str(text)}}, *_]}:
            return text
        case {"content": str(text)} | {"text": str(text)}:
            return text
    return ""


def _refusal(error: str | dict[str, Any], status: int, secrets: frozenset[str]) -> CloudApiError:
    """An error object inside an answer; OpenAI's form, `{message, code}`, or plain text."""
    if isinstance(error, str):
        error = {"message": error, "code": error}
    said, code = error.get("message"), error.get("code")
    given = error.get("status", code)
    return CloudApiError(
        given if isinstance(given, int) else status,
        strike(said, secrets) if isinstance(said, str) and said else "the model's answer failed",
        code=strike(code, secrets) if isinstance(code, str) else None,
    )
