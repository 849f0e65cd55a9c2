"""Some writes and syncs of a run fail; scripts/soak fails every one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from failing_disk import available, fail_nth

SAMPLE = [
    ("pwrite64:error=ENOSPC", 3),  # while the journal is made
    ("pwrite64:error=ENOSPC", 82),  # a receipt's
    ("pwrite64:error=EIO", 60),
    ("pwrite64:error=EIO", 91),
    ("fdatasync:error=EIO", 4),  # the switch to a write-ahead log
    ("fdatasync:error=EIO", 11),
    ("fsync:error=EIO", 1),
]


@pytest.mark.parametrize(("fault", "nth"), SAMPLE)
def test_a_failing_disk_is_named_and_costs_nothing(
    tmp_path: Path, need: Callable[..., None], fault: str, nth: int
) -> None:
    need(available(), "strace(1): apt-get install strace")
    failure = fail_nth(tmp_path / "scene", fault, nth)
    assert failure.places
    assert failure.error == "JournalError"
    assert failure.wrong == {}
    assert failure.verdict.events == 12
