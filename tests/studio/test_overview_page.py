"""A run's whole way in a real browser: started on the overview, watched, and really cancelled."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_running import Running

from arkor.studio.launches import Launches
from arkor.testing import Forever, ScriptedBackend, Until

ENTRY = """
from arkor import HuggingfaceDataset, TrainerOptions, create_trainer

trainer = create_trainer(
    name="from-the-page", model="m", dataset=HuggingfaceDataset("org/data"), max_steps=10,
    options=TrainerOptions(reconnect_delay=0.05),
)
"""


@pytest.fixture
def studio(home: Path, tmp_path: Path) -> Iterator[Running]:
    """Studio of a project that has a trainer."""
    home.mkdir(mode=0o700, exist_ok=True)
    entry = tmp_path / "project" / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(ENTRY)
    running = Running(home, tmp_path / "project")
    running.start()
    yield running
    running.stop()
    for launch in Launches(home).every():
        launch.stop()


def test_a_run_is_started_watched_and_cancelled(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    steps = [{"type": "training.log", "step": n, "loss": 1 / n} for n in (1, 2)]
    with ScriptedBackend(
        [{"type": "training.started"}, steps[0], Until(go_on), steps[1], Forever()]
    ) as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        page.goto("/")
        page.get_by_role("button", name="Run training: from-the-page").click()
        page.locator("main a[href^='/runs/0']").first.click(timeout=40_000)
        page.get_by_text("1 of 10", exact=False).first.wait_for()
        go_on.set()
        page.get_by_text("2 of 10", exact=False).first.wait_for()

        page.get_by_role("button", name="Cancel run").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel run").click()
        page.get_by_text("cancelled", exact=True).first.wait_for()
        assert backend.cancelled.is_set()
