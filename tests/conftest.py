"""What every test stands on: a home of its own, and a clean environment."""

import os
from pathlib import Path

import pytest

KEPT = {"CI"}


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in [*os.environ]:
        if name.startswith(("ARKOR_", "XDG_")) or name == "NO_COLOR":
            monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store's folder (`ARKOR_HOME`), in an empty home directory (`HOME`)."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ARKOR_HOME", str(tmp_path / "store"))
    return tmp_path / "store"
