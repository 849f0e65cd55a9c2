"""One leader at a time, and no receipt of an owner that lost its run; scripts/soak kills 20 times."""

from pathlib import Path

import pytest
from rivals import rivals, stalled


@pytest.mark.parametrize("processes", [2, 8])
def test_one_leads_at_a_time(tmp_path: Path, processes: int) -> None:
    verdict = rivals(tmp_path / "scene", processes=processes, kills=5, seed=processes)
    assert verdict.wrong() == {}
    assert verdict.events == 240


def test_a_stalled_owner_is_fenced(tmp_path: Path) -> None:
    verdict = stalled(tmp_path / "scene", really=False)
    assert verdict.wrong() == {}
    assert (verdict.events, verdict.repeated) == (24, 1)
