"""What tells two runs apart, path by path."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arkor.core.differences import ABSENT, Difference, RunFacts, compare, differences, leaves
from arkor.core.series import Series, Summary

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=3)
    ),
    max_leaves=12,
)


def summary(*values: float) -> Summary[int]:
    made: Series[int] = Series()
    for step, value in enumerate(values):
        made.add(step, value)
    found = made.summary()
    assert found is not None
    return found


FACTS = RunFacts("A", "a run", "completed", 12.5, {"model": "m", "lora": {"r": 8}}, {}, 2)


def test_nested_paths_are_named() -> None:
    a = {"model": "m", "lora": {"r": 8, "alpha": 16}, "tags": ["x", "y"], "seed": None}
    b = {"model": "m", "lora": {"r": 16}, "tags": ["x"], "seed": None, "optim": "adamw"}
    assert differences(a, b) == (
        Difference("lora.r", "changed", 8, 16),
        Difference("lora.alpha", "only in a", 16),
        Difference("tags[1]", "only in a", "y"),
        Difference("optim", "only in b", ABSENT, "adamw"),
    )


def test_a_number_is_no_truth_value_and_one_is_one() -> None:
    assert differences({"x": 1}, {"x": 1.0}) == ()
    assert differences({"x": 1}, {"x": True}) == (Difference("x", "changed", 1, True),)
    assert differences({"x": None}, {}) == (Difference("x", "only in a", None),)


def test_keys_that_look_like_paths_stay_apart() -> None:
    tricky = {"a.b": 1, "a": {"b": 2}, "c[0]": 3, "c": [4], "": 5, 'q"': 6}
    assert leaves(tricky) == {
        '["a.b"]': 1,
        "a.b": 2,
        '["c[0]"]': 3,
        "c[0]": 4,
        '[""]': 5,
        '["q\\""]': 6,
    }


def test_depth_is_no_obstacle() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert list(leaves(deep).values()) == [1]


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, json.loads(json.dumps(value))) == ()


@given(JSON, JSON)
def test_the_other_way_round_it_is_the_same_places(a: Any, b: Any) -> None:
    there = {each.path for each in differences(a, b)}
    assert there == {each.path for each in differences(b, a)}
    assert there <= leaves(a).keys() | leaves(b).keys()


def test_metrics_stand_side_by_side() -> None:
    a = replace(FACTS, metrics={"loss": summary(3, 1, 2), "lr": summary(0.1)})
    b = replace(FACTS, run_id="B", metrics={"eval_loss": summary(5), "loss": summary(3, 1, 2)})
    found = compare(a, b)
    assert [pair.name for pair in found.metrics] == ["loss", "lr", "eval_loss"]
    assert [pair.same for pair in found.metrics] == [True, False, False]
    assert not found.same


def test_ids_names_and_durations_make_no_difference() -> None:
    assert compare(FACTS, replace(FACTS, run_id="B", name="again", seconds=99.0)).same
    assert not compare(FACTS, replace(FACTS, status="failed")).same
    assert not compare(FACTS, replace(FACTS, checkpoints=3)).same
    assert not compare(FACTS, replace(FACTS, config={"model": "n", "lora": {"r": 8}})).same
