"""Arkor's pytest plugin: the fixture `arkor_backend`.

It stands outside the package because every pytest of the environment loads it, and `import arkor`
takes longer than they should wait.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from arkor.testing import RecordedBackend

__all__ = ["arkor_backend"]


@pytest.fixture
def arkor_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["RecordedBackend"]:
    """A scripted backend that every trainer of the test talks to, with a journal of its own.

    Say what happens by its `events`, or let it `play` a recorded run.
    """
    from arkor.testing import RecordedBackend

    for setting in ("ARKOR_TOKEN", "ARKOR_PROJECT", "ARKOR_JOURNAL_URL"):
        monkeypatch.delenv(setting, raising=False)
    # A broken connection is made again soon: nobody waits for a test.
    with RecordedBackend(retry=100) as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        monkeypatch.setenv("ARKOR_HOME", str(tmp_path / "arkor-home"))
        yield backend
