"""The pytest plugin, in a pytest of its own: the README's example, and what loading it costs."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ISOLATED = """
import os
from arkor import create_trainer, open_journal
from arkor.testing import Answer


def run():
    return create_trainer(
        name="a run", model="m", dataset={"type": "huggingface", "name": "d"}
    )


def test_first(arkor_backend):
    arkor_backend.events = [{"type": "training.completed"}]
    assert run().wait_sync().succeeded
    assert "ARKOR_TOKEN" not in os.environ
    assert len(open_journal().runs()) == len(arkor_backend.jobs) == 1


def test_second(arkor_backend):
    assert open_journal().runs() == []
    arkor_backend.events = [{"type": "training.failed", "error": "so it was said"}]
    arkor_backend.on(
        "GET", "/v1/jobs/{id}/events/stream", Answer(503), arkor_backend.stream
    )
    assert run().wait_sync().job.error == "so it was said"
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "arkor_pytest", *arguments]
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "ARKOR_TOKEN": "a-token-of-the-user",
        "ARKOR_HOME": str(folder / "the-users"),
    }
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_the_example_in_the_readme_passes(tmp_path: Path) -> None:
    blocks = (ROOT / "README.md").read_text().split("```python\n")
    (example,) = (block.split("```")[0] for block in blocks if "arkor_backend:" in block)
    (tmp_path / "test_example.py").write_text(example)
    done = pytest_in(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_each_test_has_a_backend_and_a_journal_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_isolated.py").write_text(ISOLATED)
    done = pytest_in(tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "the-users").exists()


def test_loading_the_plugin_imports_nothing_of_arkor() -> None:
    code = "import json, sys, arkor_pytest; print(json.dumps([*sys.modules]))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"arkor", "httpx", "sqlalchemy"} & {*json.loads(said.stdout)}
