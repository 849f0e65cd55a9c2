"""Receipts for records that are for nobody: they save reading, and hide no repeated call."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, STARTED, child, log, trainer

from arkor.runner.deliver import PASSED
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend

CHECKPOINT = {"type": "checkpoint.saved", "step": 1}


@pytest.fixture
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def marks() -> list[int]:
    """The records up to which a receipt without a callback says that nothing is owed."""
    journal = open_journal()
    receipts = journal.notes(journal.resolve("@last"), "arkor.callback.completed")
    found = [json.loads(each.data) for each in receipts]
    return [each["record"] for each in found if each["callback"] is None]


def test_a_long_part_of_the_log_that_is_for_nobody_is_passed_once(project: Path) -> None:
    events = [STARTED, *map(log, range(2 * PASSED + 100)), COMPLETED]
    calls: list[str] = []
    with ScriptedBackend(events) as backend:
        run = trainer(backend, {"on_completed": lambda ctx: calls.append("completed")})
        assert run.wait_sync().succeeded
    assert calls == ["completed"]
    passed = marks()
    assert len(passed) == 2
    assert passed[0] >= PASSED
    assert passed[1] >= passed[0] + PASSED


@pytest.mark.parametrize("end", ["sys.exit(3)", "os._exit(3)"])
def test_a_call_that_may_be_a_repeat_says_so_behind_many_records_for_nobody(
    project: Path, end: str
) -> None:
    # The next process counts from another record than this one, so it would mark another, too.
    events = [
        STARTED,
        *map(log, range(500)),
        CHECKPOINT,
        *map(log, range(PASSED + 300)),
        COMPLETED,
    ]
    attempts: list[Any] = []
    with ScriptedBackend(events) as backend:
        code = f"import os\ndef hook(ctx): {end}\ntrainer(on_checkpoint=print, on_completed=hook)"
        assert child(backend, project, code + ".wait_sync()").returncode
        assert marks() == []
        run = trainer(backend, {"on_completed": lambda ctx: attempts.append(ctx.attempt)})
        assert run.start_sync().resumed
        assert run.wait_sync().succeeded
    assert attempts == [2]
