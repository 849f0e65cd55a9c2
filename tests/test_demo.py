"""`scripts/demo`, killed in the middle and started again: the run goes on, and teaches something."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]


@pytest.fixture
def environ(tmp_path: Path, need: Callable[..., None]) -> Iterator[dict[str, str]]:
    """An environment in which the demo keeps to a folder of its own; its backend ends with it."""
    need([*(ROOT / ".venv").glob(".installed-*")], "a .venv of the scripts: scripts/install")
    variables = os.environ | {"HOME": str(tmp_path), "DEMO": str(tmp_path), "OMP_NUM_THREADS": "1"}
    yield variables
    stop = [ROOT / ".venv" / "bin" / "arkor", "backend", "stop", "--home", tmp_path / "store"]
    subprocess.run(stop, env=variables, check=True, capture_output=True)


def demo(environ: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [ROOT / "scripts" / "demo"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_killed_demo_goes_on_and_the_adapter_beats_its_base(environ: dict[str, str]) -> None:
    with demo(environ) as killed:
        assert killed.stdout is not None
        said = []
        for line in killed.stdout:
            said.append(line)
            if line.startswith("checkpoint saved"):
                os.killpg(killed.pid, signal.SIGKILL)
    started = re.search(r"^Started job (\w+)$", "".join(said), re.M)
    assert started, "".join(said)

    with demo(environ) as again:
        assert again.stdout is not None
        told = again.stdout.read()
    assert again.returncode == 0, told
    assert f"Resumed job {started[1]}" in told
    right = re.search(r"base model (\d+) of 25, adapter (\d+) of 25", told)
    assert right, told
    assert int(right[1]) == 0
    assert int(right[2]) >= 12
