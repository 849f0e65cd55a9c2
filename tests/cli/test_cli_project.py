"""What `arkor init` writes trains for real, from its sources and as a built artifact."""

import subprocess
import sys
import sysconfig
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
    arkor("init", "-y", "--skip-git")
    said = arkor("start", "--dry-run").splitlines()
    assert said[0].startswith("Started job ")
    assert said[1].startswith("step 10: ")  # its callback has asked the checkpoint
    assert said[2].endswith("finished with status=completed")


def test_the_blank_project_runs_as_a_built_artifact(arkor: Callable[..., str]) -> None:
    arkor("init", "-y", "--skip-git", "--template", "blank")
    artifact = arkor("build").split()[-1]
    said = arkor("start", artifact, "--dry-run").splitlines()
    assert said[-1].endswith("finished with status=completed")
    assert artifact in arkor("show", "@last")


@pytest.mark.parametrize("template", ["translate", "redaction"])
def test_a_project_that_answers_as_json_passes_its_own_smoke_test(
    arkor: Callable[..., str], template: str
) -> None:
    arkor("init", "-y", "--skip-git", "--template", template)
    said = arkor("start", "--dry-run", "--backend", "local").splitlines()
    assert said[1].startswith("step 10: ")  # its callback has asked the checkpoint
    assert said[-1].endswith("finished with status=completed")


@pytest.fixture
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our wheel: what an index will hold once there is one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    return folder


def test_a_project_in_an_environment_of_its_own(backend: Any, wheel: Path, tmp_path: Path) -> None:
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel), "PIP_NO_DEPS": "1"}
    environ = {k: v for k, v in backend.environ(**pip).items() if k != "VIRTUAL_ENV"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run(sys.executable, "-m", "venv", ".venv")
    said = run(sys.executable, "-m", "arkor", "init", "-y", "--skip-git", "--template", "blank")
    assert ".venv is here" in said
    assert said.endswith("Next:\n  .venv/bin/arkor start --backend local\n")
    (site,) = tmp_path.glob(".venv/lib/*/site-packages")
    assert (site / "arkor" / "__init__.py").exists()
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # what PIP_NO_DEPS left out
    assert "status=completed" in run(".venv/bin/arkor", "start", "--backend", "local", "--dry-run")
