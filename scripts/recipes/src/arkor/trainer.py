"""The project's trainer: a factory, since one trainer object drives one run."""

import os
from pathlib import Path
from typing import Any

from arkor import FileDataset, LoraConfig, Trainer, create_trainer

DATA = Path(__file__).parents[2] / "data"


def make_trainer(**options: Any) -> Trainer:
    """Build a fresh trainer; `options` widen or replace what stands here."""
    defaults: dict[str, Any] = {
        "name": "support-bot-v1",
        "model": os.environ.get("ARKOR_MODEL", "arkor/tiny"),
        "dataset": FileDataset(DATA / "tickets.jsonl"),
        "lora": LoraConfig(r=8, alpha=16),
        "learning_rate": 1e-2,  # right for the tiny model; a real one wants about 2e-4
        "batch_size": 8,
        "max_steps": 20,
        "dry_run": True if os.environ.get("ARKOR_SMOKE") else None,
        "run_key": os.environ.get("RUN_LABEL"),
    }
    return create_trainer(**(defaults | options))
