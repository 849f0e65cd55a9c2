"""One line to the chat worker: a question about a model, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from arkor.backend.constrain import Constraint, constraint_of
from arkor.backend.conversation import Conversation, check
from arkor.backend.toolcalls import ToolUse, tool_use_of
from arkor.errors import CloudApiError, ConfigError

__all__ = ["MAX_TOKENS", "Question"]

MAX_TOKENS: Final = 256
"""How many tokens an answer has at most if the question does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask of which model. A temperature of 0, the default, picks the likeliest token.

    `home` is the backend's folder, and `adapter` the folder of an adapter for `model`.
    """

    id: str
    model: str
    home: Path
    messages: Conversation
    adapter: Path | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = MAX_TOKENS
    stop: tuple[str, ...] = ()
    constraint: Constraint | None = None
    tool_use: ToolUse | None = None

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> "Question":
        """Read a request. Raises `CloudApiError` 400 saying which part of it is wrong."""
        tool_use = tool_use_of(line.get("tools"), line.get("toolChoice"))
        constraint = constraint_of(line.get("responseFormat"), line.get("structuredOutputs"))
        if tool_use and constraint:
            raise _refusal("an answer that has to call a tool cannot have another constraint")
        adapter = line.get("adapter")
        return cls(
            id=str(line["id"]),
            model=_text("model", line.get("model")),
            home=Path(_text("home", line.get("home"))),
            messages=_messages(line.get("messages")),
            adapter=None if adapter is None else Path(_text("adapter", adapter)),
            temperature=_number("temperature", line.get("temperature"), 0.0),
            top_p=_number("topP", line.get("topP"), 1.0, most=1.0),
            max_tokens=_count("maxTokens", line.get("maxTokens"), MAX_TOKENS),
            stop=_stops(line.get("stop")),
            constraint=tool_use.constraint if tool_use else constraint,
            tool_use=tool_use,
        )


def _messages(value: object) -> Conversation:
    try:
        messages = check(value)
    except ConfigError as error:
        raise _refusal(str(error)) from error
    for index, message in enumerate(messages):
        if message["role"] == "tool" and "tool_call_id" not in message:
            raise _refusal(f"`messages[{index}].tool_call_id` must be a text")
    return messages


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _refusal(f"`{name}` must be a text that is not empty")
    return value


def _number(name: str, value: object, default: float, *, most: float | None = None) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _refusal(f"`{name}` must be a number of at least 0")
    if most is not None and value > most:
        raise _refusal(f"`{name}` must be at most {most:g}")
    return float(value)


def _count(name: str, value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _refusal(f"`{name}` must be a whole number of at least 1")
    return value


def _stops(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) and t for t in texts):
        raise _refusal("`stop` must be a text or a list of texts, none of them empty")
    return tuple(texts)


def _refusal(message: str) -> CloudApiError:
    return CloudApiError(400, message, code="invalid_request")
