"""A run a night: which key it has tonight, and which one after midnight."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from arkor.errors import ConfigError
from arkor.runner.nightly import NIGHTLY, expand_key

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    run_key: str | None
    status: str


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        (NIGHTLY, "nightly-2026-11-24"),
        ("weekly-%G-W%V", "weekly-2026-W48"),
        ("100%%-%H%M", "100%-0200"),
        ("the-one", "the-one"),
    ],
)
def test_a_date_in_a_key(pattern: str, key: str) -> None:
    assert expand_key(pattern, NOW) == key


@pytest.mark.parametrize("pattern", ["50%", "%Q", "%-d", "% d", "%s"])
def test_what_is_no_date_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"no part of a date.*%Y.*%%"):
        expand_key(pattern, NOW)


def test_an_unfinished_run_of_the_pattern_goes_on_first_the_oldest_of_them() -> None:
    runs = [
        Run("nightly-2026-11-23", "running"),
        Run("nightly-2026-11-22", "queued"),
        Run("nightly-2026-11-21", "completed"),
    ]
    assert expand_key(NIGHTLY, NOW, runs) == "nightly-2026-11-22"


@pytest.mark.parametrize(
    "run",
    [
        Run("nightly-2026-11-23", "completed"),
        Run("nightly-2026-11-23", "failed"),
        Run("nightly-2026-11-23", "refused"),
        Run("nightly-big-2026-11-23", "running"),
        Run("nightlyx2026-11-23", "running"),
        Run(None, "running"),
    ],
)
def test_no_other_run_lends_its_key(run: Run) -> None:
    assert expand_key(NIGHTLY, NOW, [run]) == "nightly-2026-11-24"
