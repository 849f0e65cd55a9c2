"""A project's trainer is loaded and run to its end; `check` makes a bad end an exception."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arkor.errors import EntryError, TrainingFailedError
from arkor.runner.build import build
from arkor.runner.project import load_trainer, run_trainer, run_trainer_sync

ROOT = Path(__file__).parents[2]

ENTRY = """
from arkor.core.wire import Job
from arkor.runner.trainer import StartedRun, TrainingResult


class Recorded:
    '''Anything that can be started, waited for and cancelled is a trainer.'''

    async def start(self):
        return StartedRun("job_1", "run_1", resumed={resumed})

    async def wait(self):
        job = Job("job_1", "org", "project", "name", {status!r}, {{}}, "2026-01-01T00:00:00Z")
        return TrainingResult(job, ())

    async def cancel(self): ...


trainer = Recorded()
"""


def write(folder: Path, status: str = "completed", resumed: bool = False) -> Path:
    (folder / "pyproject.toml").write_text("[tool.arkor]\n")
    entry = folder / "index.py"
    entry.write_text(ENTRY.format(status=status, resumed=resumed))
    return entry


def test_the_job_and_its_end_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = asyncio.run(run_trainer(write(tmp_path)))
    assert result.succeeded
    assert (
        capsys.readouterr().out == "Started job job_1\nJob job_1 finished with status=completed\n"
    )


def test_a_run_from_before_is_told_as_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_trainer_sync(write(tmp_path, resumed=True))
    assert capsys.readouterr().out.startswith("Resumed job job_1\n")


def test_a_failed_run_returns_unless_it_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = write(tmp_path, status="failed")
    assert run_trainer_sync(entry).status == "failed"
    with pytest.raises(TrainingFailedError):
        run_trainer_sync(entry, check=True)
    assert capsys.readouterr().out.count("finished with status=failed") == 2


def test_each_load_gives_a_fresh_trainer(tmp_path: Path) -> None:
    entry = write(tmp_path)
    assert load_trainer(entry) is not load_trainer(entry)


def test_an_entry_without_a_trainer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.py").touch()
    with pytest.raises(EntryError, match="must export"):
        load_trainer(tmp_path / "index.py")


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1)])
def test_an_artifact_is_a_program(tmp_path: Path, status: str, code: int) -> None:
    built = build(write(tmp_path, status=status))
    done = subprocess.run(
        [sys.executable, built.path.name],
        cwd=built.path.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.endswith(f"Job job_1 finished with status={status}\n")
    assert not done.stderr
