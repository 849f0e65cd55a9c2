"""kill -9 of the embedded backend in the middle of a real run: the run goes on as if nothing was."""

import json
import os
import signal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from arkor.runner.local import find_backend
from arkor.runner.options import TrainerOptions
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.journal import open_journal

STEPS = 60
KILL_AT = 11  # behind the first checkpoint, and long before the end
DATA = files("arkor") / "backend" / "data" / "triage" / "train.jsonl"


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def tuning(name: str, callbacks: Any = None) -> Trainer:
    return create_trainer(
        name=name,
        model="arkor/tiny",
        dataset={"type": "file", "path": str(DATA)},
        lora={"r": 4, "alpha": 8, "max_length": 64},
        max_steps=STEPS,
        batch_size=2,
        learning_rate=1e-2,
        logging_steps=1,
        save_steps=8,
        callbacks=callbacks,
        options=TrainerOptions(reconnect_delay=0.1),
    )


def losses(run: Trainer) -> dict[int, float]:
    payloads = [json.loads(each.data) for each in events(run)]
    assert [int(each.sse_id or 0) for each in events(run)] == list(range(1, len(payloads) + 1))
    logs = [each for each in payloads if each["type"] == "training.log"]
    assert [each["step"] for each in logs] == list(range(1, STEPS + 1))
    return {each["step"]: each["loss"] for each in logs}


def events(run: Trainer) -> list[Any]:
    assert run.run_id
    return [each for each in open_journal().records(run.run_id) if each.sse_id]


@pytest.mark.training
@pytest.mark.timeout(240)
def test_a_killed_backend_goes_on_from_its_last_checkpoint(home: Path) -> None:
    killed: list[int] = []

    def kill(ctx: Any) -> None:
        if ctx.step < KILL_AT or killed:
            return
        backend = find_backend(home)
        assert backend is not None
        assert not open_journal().run("@last").terminal, "too late: the run has ended"
        killed.append(backend.pid)
        os.kill(backend.pid, signal.SIGKILL)

    try:
        undisturbed = tuning("undisturbed")
        assert undisturbed.wait_sync().succeeded
        interrupted = tuning("interrupted", {"on_log": kill})
        assert interrupted.wait_sync().succeeded
        assert killed
        assert losses(interrupted) == losses(undisturbed)
        after = find_backend(home)
        assert after is not None
        assert after.pid != killed[0]
    finally:
        if backend := find_backend(home):
            os.kill(backend.pid, signal.SIGTERM)
