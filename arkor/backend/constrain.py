"""Constraints on an answer: a grammar that steers the model, and a check of what it wrote."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema
from llguidance import LLMatcher

from arkor.errors import CloudApiError

__all__ = ["Constraint", "constraint_of", "for_schema"]

_KINDS: Final = ("json", "regex", "choice", "grammar", "json_object")
_KNOBS: Final = ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A grammar in llguidance's form; `fault` says what is wrong with a text, or `None`."""

    grammar: str
    fault: Callable[[str], str | None]


def constraint_of(
    response_format: object = None, structured_outputs: object = None
) -> Constraint | None:
    """The constraint of a chat request, or `None` if it sets none.

    Raises `CloudApiError` 400 for a constraint that cannot be, or more than one.
    """
    formatted = _of_response_format(response_format)
    structured = _of_structured_outputs(structured_outputs)
    if formatted and structured:
        raise _refusal("give one of `responseFormat` and `structuredOutputs`, not both")
    return formatted or structured


def for_schema(
    schema: Mapping[str, Any],
    *,
    strict: bool = False,
    spaces: bool = False,
    pattern: str | None = None,
) -> Constraint:
    """JSON text that fits a JSON Schema (2020-12), without blanks unless `spaces` or a `pattern`.

    A small model that may write blanks anywhere writes nothing else, to the limit. `strict` asks
    of every object in the schema what OpenAI's strict mode asks. Raises `CloudApiError` 400
    `invalid_schema`.
    """
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise _invalid_schema(f"it is no JSON Schema: {error.message}") from error
    if strict and (lax := _lax(schema)):
        raise _invalid_schema(lax)
    options: dict[str, Any] = {"whitespace_flexible": spaces}
    if pattern is not None:
        options["whitespace_pattern"] = pattern
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=options)
    _check_grammar(grammar, "invalid_schema", "the JSON Schema")
    validator = jsonschema.Draft202012Validator(schema)

    def fault(text: str) -> str | None:
        try:
            value = json.loads(text)
        except ValueError as error:
            return f"it is not whole JSON ({error})"
        found = next(iter(validator.iter_errors(value)), None)
        return None if found is None else found.message

    return Constraint(grammar, fault)


def _of_response_format(value: object) -> Constraint | None:
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return for_schema({"type": "object"})
        case {
            "type": "json_schema",
            "json_schema": {"schema": dict() as schema, **rest},
        }:
            return for_schema(schema, strict=rest.get("strict") is True)
        case {"type": "json_schema"}:
            raise _invalid_schema("`responseFormat.json_schema.schema` must be an object")
    raise _refusal("`responseFormat.type` must be text, json_object or json_schema")


def _of_structured_outputs(value: object) -> Constraint | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _refusal("`structuredOutputs` must be an object")
    if unknown := sorted(set(value) - {*_KINDS, *_KNOBS}):
        raise _refusal(f"`structuredOutputs.{unknown[0]}` is not an option of this backend")
    given = [kind for kind in _KINDS if value.get(kind) is not None]
    if len(given) != 1:
        raise _refusal(
            f"`structuredOutputs` takes exactly one of {', '.join(_KINDS)}, not {len(given)}"
        )
    match given[0], value[given[0]]:
        case "json", dict() as schema:
            return _json(schema, value)
        case "json_object", True:
            return _json({"type": "object"}, value)
        case "regex", str(pattern):
            return _regex(pattern)
        case "choice", [*choices] if choices and all(isinstance(c, str) and c for c in choices):
            return _choice(choices)
        case "grammar", str(grammar) if grammar.strip():
            return _lark(grammar)
    wanted = {
        "json": "a JSON Schema",
        "json_object": "true",
        "regex": "a text",
        "choice": "a list of texts that is not empty",
        "grammar": "a Lark grammar",
    }[given[0]]
    raise _refusal(f"`structuredOutputs.{given[0]}` must be {wanted}")


def _json(schema: dict[str, Any], knobs: Mapping[str, Any]) -> Constraint:
    closed = knobs.get("disable_additional_properties") is True
    return for_schema(
        _closed(schema) if closed else schema,
        spaces=knobs.get("disable_any_whitespace") is False,
        pattern=knobs.get("whitespace_pattern"),
    )


def _regex(pattern: str) -> Constraint:
    # The whole answer has to match in any case, and the grammar knows no anchors.
    bare = pattern.removeprefix("^")
    if bare.endswith("$") and not bare.endswith("\\$"):
        bare = bare[:-1]
    try:
        compiled = re.compile(bare)
    except re.error as error:
        raise _refusal(f"`structuredOutputs.regex`: {error}", "invalid_regex") from error
    grammar = LLMatcher.grammar_from_regex(bare)
    _check_grammar(grammar, "invalid_regex", "`structuredOutputs.regex`")
    return Constraint(
        grammar, lambda text: None if compiled.fullmatch(text) else f"it does not match {pattern}"
    )


def _choice(choices: list[str]) -> Constraint:
    # A JSON string is a Lark string.
    grammar = LLMatcher.grammar_from_lark("start: " + " | ".join(map(json.dumps, choices)))
    _check_grammar(grammar, "invalid_choice", "`structuredOutputs.choice`")
    allowed = frozenset(choices)
    return Constraint(
        grammar, lambda text: None if text in allowed else "it is none of the choices"
    )


def _lark(text: str) -> Constraint:
    grammar = LLMatcher.grammar_from_lark(text)
    _check_grammar(grammar, "invalid_grammar", "`structuredOutputs.grammar`")
    return Constraint(grammar, lambda _: None)


def _check_grammar(grammar: str, code: str, what: str) -> None:
    failed, notes = LLMatcher.validate_grammar_with_warnings(grammar)
    if failed:
        raise _refusal(f"{what} cannot be followed: {' '.join(notes[0].split())[:300]}", code)


def _closed(schema: Any) -> Any:
    """`schema` with every object closed to properties that it does not name."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _lax(schema: object) -> str | None:
    """What keeps a schema from being strict, or `None`."""
    for part in _objects(schema):
        names = set(part.get("properties", {}))
        if part.get("additionalProperties") is not False:
            return "a strict schema needs `additionalProperties: false` in every object"
        if missing := sorted(names - set(part.get("required", ()))):
            return f"a strict schema must list every property in `required`; {missing[0]} is not"
    return None


def _objects(schema: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, list):
        for item in schema:
            yield from _objects(item)
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") == "object" or isinstance(schema.get("properties"), Mapping):
        yield schema
    for key, value in schema.items():
        # The names of properties are not keywords, and an enum's values are no schemas.
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            yield from _objects(list(value.values()))
        elif key not in ("enum", "const", "default", "examples"):
            yield from _objects(value)


def _invalid_schema(message: str) -> CloudApiError:
    return _refusal(f"invalid schema: {message}", "invalid_schema")


def _refusal(message: str, code: str = "invalid_request") -> CloudApiError:
    return CloudApiError(400, message, code=code)
