"""The progress bar: a line a second, a live line on a terminal, and never the end of a run."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor.runner.early_stopping import EarlyStopping
from arkor.runner.options import TrainerOptions
from arkor.runner.progress_bar import ProgressBar
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Forever

STARTED = {"type": "training.started", "metadata": {"totalSteps": 20}}
SAVED = {"type": "checkpoint.saved", "step": 10, "artifacts": []}
COMPLETED = {"type": "training.completed", "artifacts": []}
FAILED = {"type": "training.failed", "error": "out of \x1b[31mmemory"}


def log(step: int, second: int, loss: float = 0.5) -> dict[str, Any]:
    time = f"2026-11-24T10:00:{second:02}Z"
    return {"type": "training.log", "step": step, "loss": loss, "timestamp": time}


LOGS = [log(5, 0), log(10, 5, 0.25)]

CODE = """
import asyncio, sys
from arkor import AnonymousCredentials, ProgressBar, TrainerOptions, create_trainer

def trainer(name, *more):
    me = AnonymousCredentials(
        token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
    )
    return create_trainer(
        name=name, model="m", dataset={"type": "huggingface", "name": "d"},
        callbacks=[ProgressBar(), *more],
        options=TrainerOptions(base_url=sys.argv[1], credentials=me, reconnect_delay=0.02),
    )
"""


def trainer(backend: ScriptedBackend, *callbacks: Any) -> Trainer:
    me = AnonymousCredentials(
        token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
    )
    return create_trainer(
        name="night \x1b[2J",
        model="m",
        dataset={"type": "huggingface", "name": "d"},
        callbacks=list(callbacks),
        options=TrainerOptions(base_url=backend.url, credentials=me, reconnect_delay=0.02),
    )


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_without_a_terminal_lines_say_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedBackend([STARTED, *LOGS, SAVED, COMPLETED]) as backend:
        assert trainer(backend, ProgressBar()).wait_sync().succeeded
    shown = capsys.readouterr()
    assert shown.out == ""
    # Figures come once a second at most, so how many lines there are depends on the machine.
    lines = shown.err.splitlines()
    assert lines[0] == r"night \x1b[2J  step 0/20"
    assert lines.count(r"night \x1b[2J  checkpoint saved at step 10") == 1
    assert lines[-1] == r"night \x1b[2J  step 10/20  loss 0.25  1 steps/s  10s left  completed"


def test_the_reason_of_a_failure_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedBackend([STARTED, FAILED]) as backend:
        assert trainer(backend, ProgressBar()).wait_sync().status == "failed"
    assert capsys.readouterr().err.splitlines()[-1].endswith(r"failed: out of \x1b[31mmemory")


def test_a_cancelled_run_beside_other_sets(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedBackend([STARTED, log(5, 0, 9.0), Forever()]) as backend:
        run = trainer(backend, ProgressBar(), EarlyStopping(ceiling=8.0))
        assert run.wait_sync().status == "cancelled"
    assert capsys.readouterr().err.splitlines()[-1].endswith("cancelled")


def test_what_was_shown_before_is_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    broken = [True]

    def on_log(ctx: Any) -> None:
        if ctx.step == 10 and broken:
            broken.clear()
            raise RuntimeError("not yet")

    bar, sets = ProgressBar(), {"on_log": on_log, "name": "main"}
    with ScriptedBackend([STARTED, log(5, 0), SAVED, log(10, 5), COMPLETED]) as backend:
        run = trainer(backend, bar, sets)
        with pytest.raises(RuntimeError):
            run.wait_sync()
        first = capsys.readouterr().err
        assert first.count("checkpoint saved") == 1
        assert run.wait_sync().succeeded
    again = capsys.readouterr().err
    assert "checkpoint saved" not in again
    assert again.splitlines()[-1].endswith("completed")
    assert "step 10/20" in again


class Broken:
    """A terminal that has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError

    def isatty(self) -> bool:
        return False


def test_a_terminal_that_has_gone_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    with ScriptedBackend([STARTED, *LOGS, COMPLETED]) as backend:
        assert trainer(backend, ProgressBar()).wait_sync().succeeded
    warnings = [record for record in caplog.records if "no longer shown" in record.getMessage()]
    assert len(warnings) == 1


def on_terminal(code: str, url: str, project: Path) -> str:
    """What a program shows whose stdout and stderr are a terminal."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE + code, url],
        cwd=project,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other side was closed
        while piece := os.read(main, 65536):
            shown += piece
    os.close(main)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


ROOT = Path(__file__).parents[2]


def test_on_a_terminal_each_run_has_a_line_of_one_display(project: Path) -> None:
    code = """
async def main():
    await asyncio.gather(trainer("one").wait(), trainer("two").wait())
    print("after", flush=True)
asyncio.run(main())
"""
    with ScriptedBackend([STARTED, *LOGS, COMPLETED]) as backend:
        shown = on_terminal(code, backend.url, project)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") >= 1
    for name in ("one", "two"):
        assert f"{name}  step 10/20  loss 0.25  1 steps/s  10s left  completed\r\n" in shown
    assert shown.endswith("after\r\n")


def test_a_wait_that_raises_gives_the_terminal_back(project: Path) -> None:
    code = """
def fail(ctx): raise RuntimeError("no")
try:
    trainer("one", {"name": "main", "on_log": fail}).wait_sync()
except RuntimeError:
    print("raised", flush=True)
"""
    with ScriptedBackend([STARTED, *LOGS, Forever()]) as backend:
        shown = on_terminal(code, backend.url, project)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert shown.index("\x1b[?25h") < shown.index("raised\r\n")
