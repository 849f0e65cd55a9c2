"""A trainer on a scripted backend: the same wish, made in this process or in one of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from arkor.runner.options import TrainerOptions
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.testing.backend import ScriptedBackend

TOKEN = "a-token-of-this-test-0123"
IDENTITY = {"token": TOKEN, "anonymous_id": "anon-1", "org_slug": "anon-org"}
WISH = {"model": "owner/model", "dataset": {"type": "huggingface", "name": "owner/data"}}

STARTED = {"type": "training.started"}
COMPLETED = {"type": "training.completed", "artifacts": [{"pathname": "adapter.json"}]}
QUESTION = [{"role": "user", "content": "hello?"}]

CHILD = f"""
import sys
from arkor import AnonymousCredentials, TrainerCallbacks, TrainerOptions, create_trainer
def trainer(name="a run", **callbacks):
    return create_trainer(
        name=name,
        callbacks=TrainerCallbacks(**callbacks) if callbacks else None,
        options=TrainerOptions(
            base_url=sys.argv[1], credentials=AnonymousCredentials(**{IDENTITY!r})
        ),
        **{WISH!r},
    )
"""


def log(step: int, **figures: float) -> dict[str, Any]:
    return {"type": "training.log", "step": step, **figures}


def options(backend: ScriptedBackend, **changes: Any) -> TrainerOptions:
    """Options that reconnect at once."""
    given = {"reconnect_delay": 0.02, "max_reconnect_delay": 0.05, **changes}
    return TrainerOptions(
        base_url=backend.url, credentials=AnonymousCredentials(**IDENTITY), **given
    )


def trainer(backend: ScriptedBackend, callbacks: Any = None, **given: Any) -> Trainer:
    """A trainer of the usual wish; `given` adds to it or changes it."""
    wish = {"name": "a run", **WISH, "options": options(backend), **given}
    return create_trainer(callbacks=callbacks, **wish)


def child(backend: ScriptedBackend, project: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, where `trainer(name, **callbacks)` is at hand."""
    command = [sys.executable, "-c", CHILD + code, backend.url]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
