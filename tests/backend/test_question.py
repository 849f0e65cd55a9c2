"""What a chat request may ask, read by the chat process."""

from typing import Any

import pytest

from arkor.backend.question import MAX_TOKENS, Question
from arkor.errors import CloudApiError

ASKED = {"role": "user", "content": "q"}
LINE = {"id": "1", "model": "m", "home": "/h", "messages": [ASKED]}
TOOL = {"type": "function", "function": {"name": "close"}}


def test_a_question_has_defaults() -> None:
    question = Question.read(LINE)
    assert (question.temperature, question.top_p, question.max_tokens) == (0.0, 1.0, MAX_TOKENS)
    assert (question.stop, question.constraint, question.tool_use) == ((), None, None)
    assert Question.read({**LINE, "temperature": None, "stop": "x"}).stop == ("x",)


def test_whole_numbers_are_numbers() -> None:
    question = Question.read({**LINE, "temperature": 1, "topP": 1})
    # transformers wants a temperature to be a float.
    assert (type(question.temperature), type(question.top_p)) == (float, float)


@pytest.mark.parametrize(
    ("messages", "read"),
    [
        ([{"role": "system", "content": "", "id": 7}], [{"role": "system", "content": ""}]),
        (
            [{"role": "assistant", "tool_calls": [{}]}],
            [{"role": "assistant", "content": "", "tool_calls": [{}]}],
        ),
        (
            [{"role": "tool", "tool_call_id": "1", "content": "x"}],
            [{"role": "tool", "content": "x", "tool_call_id": "1"}],
        ),
        (
            [{"role": "developer", "content": [{"type": "text", "text": "x"}]}],
            [{"role": "system", "content": "x"}],
        ),
    ],
)
def test_messages_are_read(messages: list[Any], read: list[Any]) -> None:
    assert Question.read({**LINE, "messages": messages}).messages == read


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": None},
        {"messages": []},
        {"messages": ["x"]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 1}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "assistant"}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": 1}]},
        {"model": ""},
        {"temperature": -1},
        {"temperature": "hot"},
        {"temperature": True},
        {"topP": 2},
        {"maxTokens": 0},
        {"maxTokens": 1.5},
        {"stop": [""]},
        {"responseFormat": "json"},
        {"structuredOutputs": {}},
        {"structuredOutputs": []},
        {"structuredOutputs": {"regex": "a", "choice": ["a"]}},
        {"structuredOutputs": {"regex": "a"}, "responseFormat": {"type": "json_object"}},
        {"tools": [TOOL], "toolChoice": "none of them"},
    ],
)
def test_what_is_no_question_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CloudApiError) as refused:
        Question.read({**LINE, **wrong})
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    assert "`" in refused.value.message


def test_a_call_of_a_tool_has_no_other_constraint() -> None:
    more = {"toolChoice": "required", "responseFormat": {"type": "json_object"}}
    with pytest.raises(CloudApiError, match="another constraint"):
        Question.read({**LINE, "tools": [TOOL], **more})


def test_a_format_that_is_text_goes_with_a_constraint() -> None:
    more = {"structuredOutputs": {"regex": "a"}, "responseFormat": {"type": "text"}}
    assert Question.read({**LINE, **more}).constraint is not None
