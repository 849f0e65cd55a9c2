"""The built wheel, installed into an empty environment, does the main job."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
from arkor import LoraConfig, create_trainer, open_journal

trainer = create_trainer(
    name="from-the-wheel",
    model="arkor/tiny",
    dataset={{"type": "file", "path": {data!r}}},
    lora=LoraConfig(r=4, alpha=8),
    dry_run=True,
)
result = trainer.wait_sync()
run = open_journal().run(trainer.run_id)
print(result.status, run.settled, run.records > 3)
"""

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]


def run(*command: str | Path, **options: Any) -> str:
    options.setdefault("env", {k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds our wheel and its base dependencies only."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    run(*build)
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv" / "bin"
    (wheel,) = folder.glob("*.whl")
    run(programs / "python", "-m", "pip", "install", "-qq", wheel, cwd=folder)
    return programs


def test_the_wheel_knows_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "arkor", "--version", cwd=tmp_path).split()[-1][0].isdigit()


def test_the_wheel_brings_its_migrations(installed: Path, tmp_path: Path) -> None:
    code = "import arkor, pathlib; print(pathlib.Path(arkor.__file__).parent)"
    package = Path(run(installed / "python", "-c", code, cwd=tmp_path).strip())
    assert package.is_relative_to(installed.parent)
    assert (package / "py.typed").exists()
    assert [*(package / "migrations" / "versions").glob("0001_*.py")]


def test_the_wheel_trains_and_journals(installed: Path, tmp_path: Path, backend: Any) -> None:
    data = str(ROOT / "scripts" / "recipes" / "data" / "tickets.jsonl")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(data=data))
    said = run(installed / "python", program, cwd=tmp_path, env=backend.environ())
    assert said.split()[-3:] == ["completed", "True", "True"]
