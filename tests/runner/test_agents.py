"""The block for coding agents: put in, renewed in place, and nothing else touched."""

import pytest

from arkor.runner.agents import BEGIN, END, RULES, with_rules

BLOCK = f"{BEGIN}\n{RULES}{END}\n"
OLD = f"{BEGIN}\nold\n{END}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("\n\n", BLOCK),
        ("\ufeff", "\ufeff" + BLOCK),
        ("# Mine\n", f"# Mine\n\n{BLOCK}"),
        ("# Mine", f"# Mine\n\n{BLOCK}"),
        ("# Mine\n\n", f"# Mine\n\n{BLOCK}"),
        (f"# Mine\n{OLD}\nafter\n", f"# Mine\n{BLOCK}after\n"),
        (f"# Mine\n{OLD}", f"# Mine\n{BLOCK.rstrip()}"),
        (f"\ufeff{OLD}\n", f"\ufeff{BLOCK}"),
        (f"`{BEGIN}` in a sentence\n", f"`{BEGIN}` in a sentence\n\n{BLOCK}"),
    ],
)
def test_the_block_is_put_in_and_the_rest_stays(before: str, after: str) -> None:
    assert with_rules(before) == after
    assert with_rules(after) == after


def test_its_lines_end_as_most_do() -> None:
    dos = BLOCK.replace("\n", "\r\n")
    assert with_rules("a\r\nb\r\nc\n") == f"a\r\nb\r\nc\n\r\n{dos}"
    assert with_rules("a\nb\nc\r\n") == f"a\nb\nc\r\n\n{BLOCK}"


@pytest.mark.parametrize(
    "text",
    [f"{OLD}\n{OLD}\n", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{OLD}\n"],
)
def test_where_the_block_is_not_clear_nothing_is_done(text: str) -> None:
    assert with_rules(text) is None


def test_the_first_line_is_the_agreed_one() -> None:
    assert BLOCK.splitlines()[1] == "# arkor is newer than your training data"
