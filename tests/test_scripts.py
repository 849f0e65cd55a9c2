"""Scripts say how they are used, before they do anything."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("build", ["--help"]),
        ("check", ["--help"]),
        ("fetch-smollm2", ["--help"]),
        ("install", ["--help"]),
        ("install", ["backend", "dev"]),
        ("demo", ["--help"]),
        ("demo", ["--model", "large"]),
    ],
)
def test_what_a_script_does_not_take_is_refused(script: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / script, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Usage: scripts/{script}" in done.stderr


def test_a_python_that_is_none_is_named() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "install"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "/nowhere/python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "at /nowhere/python3" in done.stderr
