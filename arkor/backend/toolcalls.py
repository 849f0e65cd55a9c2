"""Calling tools: the function that a model has to call, and its answer as such a call."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arkor.backend.constrain import Constraint, for_schema
from arkor.errors import CloudApiError

__all__ = ["ToolUse", "tool_use_of"]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The tools that are offered, and the constraint that makes the answer a call of one.

    `name` is the function that was named, or `None` if the model may choose.
    """

    tools: tuple[Mapping[str, Any], ...]
    constraint: Constraint
    name: str | None

    def calls(self, text: str) -> list[dict[str, Any]]:
        """The answer `text`, which fits the constraint, as the wire's `tool_calls`."""
        answer = json.loads(text)
        name = self.name or answer["name"]
        arguments = answer if self.name else answer["arguments"]
        return [
            {
                "id": f"call_{secrets.token_hex(12)}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
            }
        ]


def tool_use_of(tools: object, choice: object) -> ToolUse | None:
    """The use of tools that a chat request asks for, or `None`.

    Raises `CloudApiError` 400: for the choice `auto`, which needs a model's own way to say that
    it calls a tool, `tool_calling_not_configured`.
    """
    if tools is None or choice == "none":
        return None
    if not isinstance(tools, list) or not tools:
        raise _refusal("`tools` must be a list that is not empty")
    functions = {_name(index, tool): tool["function"] for index, tool in enumerate(tools)}
    schemas = {name: _parameters(name, of) for name, of in functions.items()}
    match choice:
        case None | "auto":
            raise _refusal(
                "this backend calls tools only when told to; give `toolChoice` as required or as "
                "a named function",
                "tool_calling_not_configured",
            )
        case "required":
            constraint = for_schema({"anyOf": [_call(n, s) for n, s in schemas.items()]})
            return ToolUse(tuple(tools), constraint, None)
        case {"type": "function", "function": {"name": str(name)}} if name in functions:
            strict = functions[name].get("strict") is True
            return ToolUse(tuple(tools), for_schema(schemas[name], strict=strict), name)
    raise _refusal(f"`toolChoice` must be none, required or one of {', '.join(functions)}")


def _name(index: int, tool: object) -> str:
    match tool:
        case {"type": "function", "function": {"name": str(name)}} if name:
            return name
    raise _refusal(f"`tools[{index}]` must be a function with a name")


def _parameters(name: str, function: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = function.get("parameters", {"type": "object", "properties": {}})
    if not isinstance(schema, Mapping):
        raise _refusal(f"the parameters of {name} must be a JSON Schema", "invalid_schema")
    return schema


def _call(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _refusal(message: str, code: str = "invalid_request") -> CloudApiError:
    return CloudApiError(400, message, code=code)
