"""What identifies a side effect: its arguments, whatever they are made of."""

from typing import Any

import pytest

from arkor.core.steps import digest_arguments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "x", "a": "y"}, {"a": "y", 1: "x"}),
        ({None: 1, 2.5: {(1, 2): 3, "k": 4}}, {2.5: {"k": 4, (1, 2): 3}, None: 1}),
        ([1, {"deep": {"b": 1, 2: 0}}], (1, {"deep": {2: 0, "b": 1}})),
        (object(), object()),
    ],
)
def test_arguments_that_mean_the_same_have_the_same_digest(one: Any, other: Any) -> None:
    assert digest_arguments(one) == digest_arguments(other)
    assert digest_arguments(of=one) == digest_arguments(of=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({1: "x"}, {"1": "x"}),
        ({1: "x", "1": "y"}, {1: "y", "1": "x"}),
        ({1: "x", "a": "y"}, {1: "x", "a": "z"}),
        ({(1, 2): 0}, {(1, 3): 0}),
    ],
)
def test_other_arguments_have_another_digest(one: Any, other: Any) -> None:
    assert digest_arguments(one) != digest_arguments(other)


def test_a_digest_stays_what_it_is() -> None:
    known = "e6202a04"
    assert digest_arguments("to", 1, when={"b": None, "a": [0.5]}).startswith(known)
