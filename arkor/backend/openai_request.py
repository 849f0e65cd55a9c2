"""An OpenAI client's request in this API's words, and a refusal in OpenAI's."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from arkor.backend.refusals import Refusal

__all__ = ["chat_body", "refused", "wants_stream"]

_NAMES: Final = {
    "messages": "messages",
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "stop": "stop",
    "tools": "tools",
    "tool_choice": "toolChoice",
    "response_format": "responseFormat",
    "structured_outputs": "structuredOutputs",
}
_THEIRS: Final = {"topP": "top_p", "maxTokens": "max_tokens"} | {
    ours: theirs for theirs, ours in _NAMES.items() if not theirs.startswith("max_")
}


def chat_body(body: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a chat request to the model of an endpoint's `target`.

    The `model` of the request does not count, and what only steers chance is left out.
    `Refusal` 400 for what would have another answer than is given here.
    """
    if body.get("n") not in (None, 1):
        raise Refusal(400, "unsupported_parameter", "`n` must be 1: an answer has one choice here")
    if body.get("logprobs"):
        raise Refusal(400, "unsupported_parameter", "`logprobs` are not given here")
    asked = {ours: body[name] for name, ours in _NAMES.items() if body.get(name) is not None}
    return asked | {name: target[name] for name in ("adapter", "baseModel") if name in target}


def wants_stream(body: Mapping[str, Any]) -> bool:
    """Whether the answer is to come in pieces; not unless the request says so."""
    stream = body.get("stream") or False
    if not isinstance(stream, bool):
        raise Refusal(400, "invalid_request", "`stream` must be true or false")
    return stream


def refused(refusal: Refusal) -> Response:
    """A refusal as OpenAI's clients read one: `{"error": {message, type, param, code}}`."""
    said, code = refusal.body.get("message"), refusal.body["error"]
    message = code if said is None else said
    error = {
        "message": re.sub(r"`(\w+)", lambda match: f"`{_theirs(match[1])}", message),
        "type": "invalid_request_error" if refusal.status < 500 else "server_error",
        "param": None,
        "code": None if said is None else code,
    }
    return JSONResponse({"error": error}, refusal.status, refusal.headers)


def _theirs(name: str) -> str:
    return _THEIRS.get(name, name)
