"""A dataset's rows, in any of the known formats, as what a model learns from."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from arkor.backend.conversation import Conversation, check
from arkor.errors import ConfigError

__all__ = ["FORMATS", "Format", "Lesson", "detect", "lessons"]

Format = Literal["messages", "prompt-completion", "alpaca", "sharegpt", "text"]

FORMATS: Final[Mapping[str, Format]] = {
    "chatml": "messages",
    "messages": "messages",
    "prompt-completion": "prompt-completion",
    "prompt_completion": "prompt-completion",
    "alpaca": "alpaca",
    "sharegpt": "sharegpt",
    "text": "text",
}
"""The values of `datasetFormat`, and the format each names."""

Lesson = Conversation | str
"""What one row teaches: a conversation, or plain text."""

_MARKS: Final[tuple[tuple[Format, tuple[str, ...]], ...]] = (
    ("messages", ("messages",)),
    ("sharegpt", ("conversations",)),
    ("prompt-completion", ("prompt", "completion")),
    ("alpaca", ("instruction", "output")),
    ("text", ("text",)),
)
_SPEAKERS: Final = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
}


def detect(row: Mapping[str, Any]) -> Format:
    """The format that a row's columns show. Raises `ConfigError` naming the columns there are."""
    for known, columns in _MARKS:
        if all(column in row for column in columns):
            return known
    wanted = "; ".join(" and ".join(columns) for _, columns in _MARKS)
    raise ConfigError(
        f"the dataset's columns ({', '.join(row) or 'none'}) fit no datasetFormat; "
        f"a row needs one of: {wanted}",
        field="datasetFormat",
    )


def lessons(rows: Iterable[Mapping[str, Any]], form: Format | None = None) -> list[Lesson]:
    """What each row teaches, in order. The first row shows the format if none is given.

    Raises `ConfigError` naming the first row, from 1, that does not fit.
    """
    learned: list[Lesson] = []
    for number, row in enumerate(rows, 1):
        form = form or detect(row)
        try:
            learned.append(_READERS[form](row))
        except ConfigError as error:
            raise ConfigError(
                f"row {number} of the dataset does not fit datasetFormat {form!r}: {error}",
                field="datasetFormat",
            ) from error
    return learned


def _messages(row: Mapping[str, Any]) -> Conversation:
    return _answered(check(row.get("messages")))


def _sharegpt(row: Mapping[str, Any]) -> Conversation:
    turns = row.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise ConfigError("conversations must be a list of objects")
    return _answered(
        check([{"role": _SPEAKERS.get(t.get("from")), "content": t.get("value")} for t in turns])
    )


def _pair(row: Mapping[str, Any]) -> Conversation:
    return _turn("prompt", row.get("prompt"), "user") + _turn(
        "completion", row.get("completion"), "assistant"
    )


def _alpaca(row: Mapping[str, Any]) -> Conversation:
    asked = _text("instruction", row.get("instruction"))
    more = row.get("input") or ""
    answer = _text("output", row.get("output"))
    return [
        {"role": "user", "content": f"{asked}\n{more}" if more else asked},
        {"role": "assistant", "content": answer},
    ]


def _plain(row: Mapping[str, Any]) -> str:
    return _text("text", row.get("text"))


_READERS: Final[Mapping[Format, Callable[[Mapping[str, Any]], Lesson]]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt-completion": _pair,
    "alpaca": _alpaca,
    "text": _plain,
}


def _answered(conversation: Conversation) -> Conversation:
    if not any(message["role"] == "assistant" for message in conversation):
        raise ConfigError("it has no message of the assistant to learn from")
    return conversation


def _turn(column: str, value: object, role: str) -> Conversation:
    if isinstance(value, list):
        return check(value)
    return [{"role": role, "content": _text(column, value)}]


def _text(column: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"`{column}` must be a text that is not empty")
    return value
