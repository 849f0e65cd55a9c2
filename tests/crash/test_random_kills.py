"""30 kills at random instants; scripts/soak makes 300."""

from pathlib import Path

import pytest
from random_kills import random_kills


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [7])
def test_no_kill_costs_anything(tmp_path: Path, seed: int) -> None:
    verdict = random_kills(tmp_path / "scene", kills=30, seed=seed)
    assert verdict.wrong() == {}
    assert (verdict.events, verdict.effects) == (2000, 3 * 99)
    assert verdict.calls >= 3 * 1998
