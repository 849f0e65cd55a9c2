"""The demo's own part: train the example project's trainer, then ask both models the same."""

import argparse
import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import arkor
from arkor import CheckpointContext, FileDataset, LogContext, Trainer, TrainerOptions
from arkor.client.chat import build_chat_body, chat
from arkor.core.wire import Adapter
from arkor.runner.session import open_session

PROJECT = Path(__file__).parent / "recipes"
DATA = Path(arkor.__file__).parent / "backend" / "data" / "triage"
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"model": "arkor/tiny", "max_steps": 100, "batch_size": 8, "learning_rate": 1e-2},
    "smollm2": {
        "model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "max_steps": 60,
        "batch_size": 4,
        "learning_rate": 1e-3,
    },
}
LONGEST_ANSWER = 12  # tokens; a label needs one or two

console = Console(highlight=False)


class Progress:
    """One line for each report of the trainer; the rate is taken from the backend's own clock."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.first: tuple[int, datetime] | None = None

    def on_log(self, ctx: LogContext) -> None:
        figures = [f"step {ctx.step:>3}/{self.total}"]
        if ctx.loss is not None:
            figures += [f"loss {ctx.loss:.3f}", *self._pace(ctx)]
        if ctx.eval_loss is not None:
            figures += [f"loss on held-out rows {ctx.eval_loss:.3f}"]
        console.print("  " + "   ".join(figures))

    def on_checkpoint(self, ctx: CheckpointContext) -> None:
        console.print(f"  step {ctx.step:>3}/{self.total}   checkpoint saved")

    def _pace(self, ctx: LogContext) -> list[str]:
        now = datetime.fromisoformat(ctx.event.data["timestamp"])
        if self.first is None:
            self.first = ctx.step, now
        step, since = self.first
        passed = (now - since).total_seconds()
        if ctx.step == step or passed <= 0:
            return []
        rate = (ctx.step - step) / passed
        left = timedelta(seconds=round((self.total - ctx.step) / rate))
        return [f"{rate:.1f} steps/s", f"{left} left"]


def build(model: str) -> Trainer:
    """The example project's trainer, with this demo's data and options."""
    sys.path.insert(0, str(PROJECT))
    from src.arkor.trainer import make_trainer

    recipe = RECIPES[model]
    return make_trainer(
        name=f"demo-{model}",
        dataset=FileDataset(DATA / "train.jsonl"),
        logging_steps=5,
        save_steps=recipe["max_steps"] // 3,
        eval_steps=recipe["max_steps"] // 3,
        callbacks=Progress(recipe["max_steps"]),
        options=TrainerOptions(cwd=PROJECT),
        **recipe,
    )


async def answers(whom: dict[str, Any], questions: list[str]) -> list[str]:
    """What a base model or an adapter answers to each question."""
    session = await open_session(TrainerOptions(cwd=PROJECT))
    try:
        async with session.connect() as api:
            return [
                (
                    await chat(
                        api,
                        session.scope,
                        build_chat_body(
                            [{"role": "user", "content": question}],
                            max_tokens=LONGEST_ANSWER,
                            stream=False,
                            **whom,
                        ),
                    )
                ).text.strip()
                for question in questions
            ]
    finally:
        await session.close()


async def compare(base: str, job_id: str) -> None:
    """Ask the base model and the trained adapter the held-out wordings; print both answers."""
    rows = [json.loads(line)["messages"] for line in (DATA / "hard.jsonl").open()]
    questions, labels = ([row[turn]["content"] for row in rows] for turn in (0, 1))
    plain = await answers({"base_model": base}, questions)
    tuned = await answers({"adapter": Adapter("final", job_id)}, questions)

    table = Table(title=f"{len(rows)} wordings that are not in the training data", expand=True)
    for heading, ratio in (("question", 5), ("right", 1), ("base model", 3), ("adapter", 1)):
        table.add_column(heading, ratio=ratio, no_wrap=heading != "question", overflow="ellipsis")
    for row in zip(questions, labels, plain, tuned, strict=True):
        table.add_row(*row)
    console.print(table)

    right = [sum(map(str.__eq__, labels, given)) for given in (plain, tuned)]
    console.print(
        f"Right: base model {right[0]} of {len(rows)}, adapter {right[1]} of {len(rows)}."
    )
    console.print("(The training recipe was chosen with these wordings in sight: this shows that")
    console.print("the model learned, and is no benchmark.)")


def farewell() -> None:
    home = os.environ["ARKOR_HOME"]
    console.print(f"\nThe journal is {home}/arkor.db. Try next:")
    console.print(f"  export ARKOR_HOME={home}", soft_wrap=True)
    for command in ("runs", "events @last", "show @last", "backend stop"):
        console.print(f"  .venv/bin/arkor {command}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(RECIPES), default="tiny")
    model = parser.parse_args().model

    trainer = build(model)
    try:
        started = trainer.start_sync()
        console.print(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}.")
        result = trainer.wait_sync()
    except KeyboardInterrupt:
        console.print("\nInterrupted. The run goes on; `scripts/demo` follows it to its end.")
        return 130
    console.print(f"The run {result.status}, with {len(result.artifacts)} artifacts.")
    if not result.succeeded:
        console.print(result.job.error or "no error message")
        return 1
    asyncio.run(compare(RECIPES[model]["model"], started.job_id))
    farewell()
    return 0


if __name__ == "__main__":
    sys.exit(main())
