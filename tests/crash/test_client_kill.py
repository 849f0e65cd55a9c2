"""kill -9 of a client at every named point, then the same script again: one job, nothing lost."""

from pathlib import Path

import pytest
from points import BEFORE_THE_JOB, CODE, TAKING, WIRE, kill_at

CASES = [(point, True) for point in (*CODE, *TAKING, *WIRE)]
WITHOUT_KEYS = [(point, False) for point in (*BEFORE_THE_JOB, *WIRE)]


@pytest.mark.parametrize(("point", "idempotency"), CASES + WITHOUT_KEYS)
def test_a_killed_client_is_made_good_by_the_next(
    tmp_path: Path, point: str, idempotency: bool
) -> None:
    verdict = kill_at(tmp_path / "scene", point, idempotency=idempotency)
    assert verdict.wrong() == {}
    assert (verdict.events, verdict.effects) == (12, 6)
    assert verdict.repeated + verdict.effects_repeated <= 2
