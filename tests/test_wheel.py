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
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "-qq", wheel_in(folder), cwd=folder)
    return programs


def wheel_in(folder: Path) -> Path:
    """The wheel that `WHEEL` names, else one built from our source archive, as a release is."""
    if named := os.environ.get("WHEEL"):
        return ROOT / named
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def package(installed: Path) -> Path:
    """The installed package's folder."""
    code = "import arkor, pathlib; print(pathlib.Path(arkor.__file__).parent)"
    package = Path(run(installed / "python", "-c", code, cwd=installed.parent).strip())
    assert package.is_relative_to(installed.parent)
    return package


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_the_wheel_knows_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "arkor", "--version", cwd=tmp_path).split()[-1][0].isdigit()


def test_the_wheel_is_the_tree(package: Path) -> None:
    migrations = files_of(ROOT / "migrations").items()
    tree = files_of(ROOT / "arkor") | {f"migrations/{path}": text for path, text in migrations}
    wheel = files_of(package)
    assert wheel.keys() == tree.keys()
    assert [path for path in tree if not path.endswith(".py") and wheel[path] != tree[path]] == []


def test_the_wheel_starts_and_packs_a_project(installed: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.defpath}
    folder = tmp_path / "triage"
    folder.mkdir()
    for command in (["init", "-y", "--skip-install"], ["build"]):
        run(installed / "arkor", *command, cwd=folder, env=environ)
    packed = ["-c", "import zipfile; print(*zipfile.ZipFile('.arkor/build/index.pyz').namelist())"]
    assert "src/arkor/trainer.py" in run(installed / "python", *packed, cwd=folder)


def test_the_wheel_trains_and_journals(installed: Path, tmp_path: Path, backend: Any) -> None:
    data = str(ROOT / "scripts" / "recipes" / "data" / "tickets.jsonl")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(data=data))
    said = run(installed / "python", program, cwd=tmp_path, env=backend.environ())
    assert said.split()[-3:] == ["completed", "True", "True"]
