"""A job's checkpoints and its final adapter, as folders below the job's own."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = [
    "ADAPTER",
    "TRAINER_STATE",
    "adapter_from",
    "artifact",
    "artifacts",
    "checkpoint_saved",
    "complete_checkpoints",
    "drop_incomplete",
    "new_folder",
]

ADAPTER: Final = "adapter"
"""The name of the final adapter's folder."""

_WEIGHTS: Final = "adapter_model.safetensors"
TRAINER_STATE: Final = "trainer_state.json"
"""The name of the file that Trainer writes last into a checkpoint."""

_TRAINER_ONLY: Final = (
    "optimizer.*",
    "scheduler.*",
    "rng_state*",
    TRAINER_STATE,
    "training_args.bin",
)


def complete_checkpoints(jobdir: Path) -> dict[int, Path]:
    """Every whole `checkpoint-N` by its step, lowest first.

    Trainer writes trainer_state.json last, so a folder that a kill left half-written has none,
    or one that does not parse.
    """
    found = {}
    for path in jobdir.glob("checkpoint-*"):
        step = _step(path)
        if step is not None:
            found[step] = path
    return dict(sorted(found.items()))


def drop_incomplete(jobdir: Path) -> None:
    """Remove what a killed process left half-written."""
    whole = set(complete_checkpoints(jobdir).values())
    for path in jobdir.glob("checkpoint-*"):
        if path not in whole:
            shutil.rmtree(path)


def artifact(kind: str, path: Path, jobdir: Path, *, step: int | None = None) -> dict[str, Any]:
    """How an event names an adapter: its folder below `jobdir`, its weights' size and SHA-256."""
    weights = path / _WEIGHTS
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    described = {
        "kind": kind,
        "pathname": str(path.relative_to(jobdir)),
        "sha256": digest,
        "bytes": weights.stat().st_size,
    }
    return described if step is None else {**described, "step": step}


def artifacts(jobdir: Path) -> list[dict[str, Any]]:
    """The final adapter and every checkpoint, for the event that ends a run."""
    checkpoints = [
        artifact("checkpoint", path, jobdir, step=step)
        for step, path in complete_checkpoints(jobdir).items()
    ]
    return [artifact("adapter", jobdir / ADAPTER, jobdir), *checkpoints]


def checkpoint_saved(step: int, jobdir: Path) -> dict[str, Any]:
    """The event that tells of a checkpoint."""
    path = jobdir / f"checkpoint-{step}"
    return {
        "type": "checkpoint.saved",
        "step": step,
        "artifacts": [artifact("checkpoint", path, jobdir, step=step)],
    }


def adapter_from(saved: Path, jobdir: Path) -> None:
    """Make the final adapter's folder from a folder that holds one; it appears when it is whole."""
    with new_folder(jobdir / ADAPTER) as partial:
        shutil.copytree(
            saved, partial, ignore=shutil.ignore_patterns(*_TRAINER_ONLY), dirs_exist_ok=True
        )


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when it is whole."""
    partial = target.with_name(f"{target.name}.partial")
    for leftover in (partial, target):
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir()
    yield partial
    partial.rename(target)


def _step(path: Path) -> int | None:
    try:
        state = json.loads((path / TRAINER_STATE).read_text("utf-8"))
        step = int(path.name.removeprefix("checkpoint-"))
    except (OSError, ValueError):
        return None
    return step if isinstance(state, dict) and state.get("global_step") == step else None
