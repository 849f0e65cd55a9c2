"""What `arkor init` writes trains for real, from its sources and as a built artifact."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.training, pytest.mark.timeout(240)]


@pytest.fixture
def arkor(backend: Any, tmp_path: Path) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "arkor", *arguments],
            cwd=tmp_path,
            env=backend.environ(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_triage_project_runs(arkor: Callable[..., str]) -> None:
    arkor("init", "-y")
    said = arkor("start", "--dry-run").splitlines()
    assert said[0].startswith("Started job ")
    assert said[1].startswith("step 10: ")  # its callback has asked the checkpoint
    assert said[2].endswith("finished with status=completed")


def test_the_blank_project_runs_as_a_built_artifact(arkor: Callable[..., str]) -> None:
    arkor("init", "-y", "--template", "blank")
    artifact = arkor("build").split()[-1]
    said = arkor("start", artifact, "--dry-run").splitlines()
    assert said[-1].endswith("finished with status=completed")
    assert artifact in arkor("show", "@last")
