"""The messages of a chat: checked, and brought into a form that a model's template can read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from arkor.errors import ConfigError

__all__ = ["Conversation", "Message", "check", "readable"]

Message = dict[str, Any]
Conversation = list[Message]

_ROLES: Final = ("system", "developer", "user", "assistant", "tool")


def check(value: object) -> Conversation:
    """A list of messages, as a chat request or a row of a dataset has them. Raises `ConfigError`.

    Content in parts becomes one text; the role `developer` is `system`'s newer name.
    """
    if not isinstance(value, list) or not value:
        raise ConfigError("`messages` must be a list that is not empty", field="messages")
    return [_message(index, item) for index, item in enumerate(value)]


def readable(conversation: Sequence[Message], template: str) -> Conversation:
    """The messages as `template` can read them: with calls of tools told in words if it cannot."""
    if "tool_calls" in template:
        return [dict(message) for message in conversation]
    return [_told(message) for message in conversation]


def _message(index: int, item: object) -> Message:
    where = f"messages[{index}]"
    if not isinstance(item, Mapping):
        raise ConfigError(f"`{where}` must be an object with `role` and `content`", field=where)
    role = item.get("role")
    if role not in _ROLES:
        raise ConfigError(
            f"`{where}.role` must be one of {', '.join(_ROLES)}, not {role!r}",
            field=f"{where}.role",
        )
    calls = item.get("tool_calls") or []
    content = _content(where, item.get("content"), may_miss=role == "assistant" and bool(calls))
    message: Message = {"role": "system" if role == "developer" else role, "content": content}
    if calls:
        message["tool_calls"] = calls
    if role == "tool" and isinstance(item.get("tool_call_id"), str):
        message["tool_call_id"] = item["tool_call_id"]
    return message


def _content(where: str, value: object, *, may_miss: bool) -> str:
    if isinstance(value, str):
        return value
    if value is None and may_miss:
        return ""
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, Mapping)]
        if len(texts) == len(value) and all(isinstance(text, str) for text in texts):
            return "".join(str(text) for text in texts)
    raise ConfigError(f"`{where}.content` must be a text", field=f"{where}.content")


def _told(message: Message) -> Message:
    if message["role"] == "tool":
        name = message.get("tool_call_id", "the tool")
        return {"role": "user", "content": f"Result of {name}: {message['content']}"}
    calls = message.get("tool_calls")
    if not calls:
        return {"role": message["role"], "content": message["content"]}
    told = [json.dumps(call.get("function", call), ensure_ascii=False) for call in calls]
    lines = [message["content"], *told] if message["content"] else told
    return {"role": message["role"], "content": "\n".join(lines)}
