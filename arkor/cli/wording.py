"""What a record says, in a few words: for the list of events and for live progress."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from arkor.core.events import (
    CheckpointSaved,
    Malformed,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    decode,
)
from arkor.core.record import Record

__all__ = ["figures", "summary"]

SHOWN: Final = (
    "callback",
    "consumer",
    "record",
    "attempt",
    "error",
    "reason",
    "after",
    "before",
    "cause",
)
"""The fields of a note that are worth a place on its line."""

LONGEST: Final = 160
"""Characters of an event that nobody knows how to sum up."""


def summary(record: Record) -> str:
    """One line about a record, without its type."""
    if record.source == "local":
        return _note(json.loads(record.data))
    match decode(record.type, record.data):
        case TrainingLog() as log:
            return figures(log)
        case CheckpointSaved(step, artifacts):
            return f"step {step}, {_count(artifacts)}"
        case TrainingStarted(metadata=dict() as metadata):
            return "  ".join(f"{name} {value}" for name, value in metadata.items())
        case TrainingCompleted(artifacts=artifacts):
            return _count(artifacts)
        case TrainingFailed(error=error):
            return error
        case Malformed(reason):
            return f"malformed: {reason}"
        case _:
            return textwrap.shorten(record.data, LONGEST, placeholder=" …")


def figures(log: TrainingLog) -> str:
    """The figures of a step that were reported."""
    named = {
        "loss": log.loss,
        "eval loss": log.eval_loss,
        "lr": log.learning_rate,
        "epoch": log.epoch,
    }
    parts = [f"{name} {value:.4g}" for name, value in named.items() if value is not None]
    return "  ".join([f"step {log.step}", *parts])


def _count(artifacts: tuple[Any, ...]) -> str:
    return f"{len(artifacts)} artifact{'' if len(artifacts) == 1 else 's'}"


def _note(fields: Mapping[str, Any]) -> str:
    job = fields.get("job")
    shown = {name: fields[name] for name in SHOWN if fields.get(name) is not None}
    if isinstance(job, Mapping):
        shown = {"job": job.get("id"), "status": job.get("status"), **shown}
    return "  ".join(f"{name} {value}" for name, value in shown.items())
