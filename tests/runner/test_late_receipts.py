"""A receipt that cannot be written when its call ends: written before any other call is made."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arkor.errors import JournalError
from arkor.runner.options import TrainerOptions
from arkor.runner.trainer import create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend

EVENTS = [
    {"type": "training.started"},
    {"type": "training.log", "step": 1, "loss": 1.0},
    {"type": "training.log", "step": 2, "loss": 0.5},
    {"type": "training.completed", "artifacts": []},
]


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a byte: what a full disk is to a journal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))


@pytest.mark.parametrize("last", ["1", "completed"])
def test_a_late_receipt_is_written_and_its_call_not_repeated(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    calls: list[str] = []

    def call(ctx: Any) -> None:
        calls.append(str(ctx.event.data.get("step", "completed")))
        if calls[-1] == last:
            fill()

    with ScriptedBackend(EVENTS) as backend:
        run = create_trainer(
            name="a run",
            model="owner/model",
            dataset={"type": "huggingface", "name": "owner/data"},
            callbacks={"on_log": call, "on_completed": call},
            options=TrainerOptions(
                base_url=backend.url,
                credentials=AnonymousCredentials(
                    token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
                ),
                reconnect_delay=0.02,
            ),
        )
        with full_disk(), pytest.raises(JournalError, match="cannot be used"):
            run.wait_sync()
        assert calls[-1] == last
        assert run.wait_sync().succeeded
    assert calls == ["1", "2", "completed"]
    journal = open_journal()
    assert journal.run("@last").settled
    assert journal.row("@last").settled
    signed = [
        json.loads(each.data)["callback"]
        for each in journal.records(run.run_id or "")
        if each.type == "arkor.callback.completed"
    ]
    assert signed == ["on_log", "on_log", "on_completed"]
