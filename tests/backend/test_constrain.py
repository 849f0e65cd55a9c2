"""Constraints: what a request may ask for, and what an answer has to be."""

from typing import Any

import pytest

from arkor.backend.constrain import constraint_of, for_schema
from arkor.backend.toolcalls import tool_use_of
from arkor.errors import CloudApiError

PAIR = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "n": {"type": "integer", "maximum": 9}},
    "required": ["a", "n"],
    "additionalProperties": False,
}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOLS = [
    {"type": "function", "function": {"name": "route", "parameters": PAIR}},
    {"type": "function", "function": {"name": "close"}},
]


@pytest.mark.parametrize(
    ("outputs", "good", "bad"),
    [
        ({"choice": ["yes", 'n"o|', "\\d\n"]}, ["yes", 'n"o|', "\\d\n"], ["", "y", "5"]),
        ({"regex": "^T-[0-9]{2}$"}, ["T-00"], ["T-0", "T-000", "^T-00$"]),
        ({"regex": "[0-9]+\\$"}, ["5$"], ["5"]),
        ({"json": PAIR}, ['{"a":"x","n":9}'], ['{"a":"x"}', '{"a":"x","n":10}', '{"a":"x']),
        ({"json_object": True}, ["{}", '{"a":[1]}'], ["[]", "1", "{"]),
    ],
)
def test_an_answer_is_checked(outputs: dict[str, Any], good: list[str], bad: list[str]) -> None:
    constraint = constraint_of(None, outputs)
    assert constraint is not None
    assert [constraint.fault(text) for text in good] == [None] * len(good)
    assert all(constraint.fault(text) for text in bad)


def test_no_constraint_is_none() -> None:
    assert constraint_of() is None
    assert constraint_of({"type": "text"}) is None


@pytest.mark.parametrize(
    ("outputs", "code"),
    [
        ({}, "invalid_request"),
        ({"choice": ["a"], "regex": "a"}, "invalid_request"),
        ({"choice": []}, "invalid_request"),
        ({"choice": "abc"}, "invalid_request"),
        ({"json_object": False}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"grammar": " "}, "invalid_request"),
        ({"grammar": "start: nothing"}, "invalid_grammar"),
        ({"regex": "(a"}, "invalid_regex"),
        ({"regex": "a(?=b)"}, "invalid_regex"),
        ({"json": {"type": "nope"}}, "invalid_schema"),
        ({"json": "nope"}, "invalid_request"),
        ({"json": True}, "invalid_request"),
    ],
)
def test_a_constraint_that_cannot_be_is_refused(outputs: dict[str, Any], code: str) -> None:
    with pytest.raises(CloudApiError) as refused:
        constraint_of(None, outputs)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert "\n" not in refused.value.message


def test_two_constraints_are_refused() -> None:
    with pytest.raises(CloudApiError, match="not both"):
        constraint_of({"type": "json_object"}, {"regex": "a"})


@pytest.mark.parametrize(
    "schema",
    [
        LOOSE,
        {**LOOSE, "additionalProperties": False},
        {**LOOSE, "required": ["a"]},
        {"type": "array", "items": LOOSE},
        {**PAIR, "properties": {"a": LOOSE, "n": {"type": "integer"}}},
        {"$defs": {"x": LOOSE}, "$ref": "#/$defs/x"},
    ],
)
def test_strict_schemas_close_and_require_everything(schema: dict[str, Any]) -> None:
    with pytest.raises(CloudApiError) as refused:
        for_schema(schema, strict=True)
    assert refused.value.code == "invalid_schema"
    for_schema(schema)


def test_a_strict_schema_may_have_an_enum_of_objects() -> None:
    for_schema({**PAIR, "properties": {"a": {"enum": [{"type": "object"}]}, "n": {}}}, strict=True)


def test_closing_a_schema_keeps_other_properties_out() -> None:
    asked = {"json": LOOSE, "disable_additional_properties": True}
    closed = constraint_of(None, asked)
    assert closed is not None
    assert closed.fault('{"a":"x"}') is None
    assert closed.fault('{"b":1}') is not None


def test_a_call_of_a_tool_is_the_function_s_parameters_or_one_of_all() -> None:
    named = tool_use_of(TOOLS, {"type": "function", "function": {"name": "route"}})
    chosen = tool_use_of(TOOLS, "required")
    assert named is not None
    assert chosen is not None
    (call,) = named.calls('{"a":"x","n":1}')
    assert call["type"] == "function"
    assert call["function"] == {"name": "route", "arguments": '{"a": "x", "n": 1}'}
    text = '{"name":"close","arguments":{}}'
    assert chosen.constraint.fault(text) is None
    assert chosen.calls(text)[0]["function"] == {"name": "close", "arguments": "{}"}
    assert chosen.constraint.fault('{"name":"route","arguments":{"b":1}}') is not None


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (None, "tool_calling_not_configured"),
        ("auto", "tool_calling_not_configured"),
        ("always", "invalid_request"),
        ({"type": "function", "function": {"name": "other"}}, "invalid_request"),
    ],
)
def test_a_choice_of_tools_that_cannot_be_followed_is_refused(choice: Any, code: str) -> None:
    with pytest.raises(CloudApiError) as refused:
        tool_use_of(TOOLS, choice)
    assert (refused.value.status, refused.value.code) == (400, code)


def test_tools_may_be_offered_and_not_used() -> None:
    assert tool_use_of(TOOLS, "none") is None
    assert tool_use_of(None, "auto") is None
