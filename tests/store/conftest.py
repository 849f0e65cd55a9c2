"""What the store's tests share: a run to write to, and processes that are somebody else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arkor.core.notes import SubmitRequested, entry_of
from arkor.store.lease import current_owner
from arkor.store.writer import NewRun, Writer

ROOT = Path(__file__).parents[2]

Run = Callable[..., str]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "store" / "arkor.db")


@pytest.fixture
def make_run(writer: Writer) -> Run:
    """Make a run with one record, owned by this process, and give its id."""

    def make(name: str = "run", **fields: str) -> str:
        place = {"project_root": "/p", "org_slug": "o", "project_slug": "p", "fingerprint": "f"}
        row = NewRun(name=name, **{**place, **fields})
        wish = SubmitRequested(
            name=name,
            config={},
            fingerprint=row.fingerprint,
            idempotency_key=row.run_id,
            base_url="local",
            org_slug=row.org_slug,
            project_slug=row.project_slug,
            project_root=row.project_root,
            run_key=row.run_key,
        )
        with writer.transaction(durable=True) as tx:
            return tx.create_run(row, [entry_of(wish)], current_owner()).run_id

    return make


@pytest.fixture
def start() -> Start:
    """Start a Python program of a few lines, with arguments, in a process of its own."""

    def begin(program: str, *args: object, **options: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", program, *map(str, args)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": -1, "stdout": -1, "stderr": -1, "text": True, "env": environ}
        return subprocess.Popen(command, **{**pipes, **options})  # type: ignore[call-overload]

    return begin
