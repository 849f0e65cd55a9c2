"""Changed callbacks are found by a replay, every one; those merely written otherwise never are."""

import asyncio
import json
from pathlib import Path

import pytest
from mutants import SOURCE, callbacks, mutants, variants
from scene import story

from arkor import (
    AnonymousCredentials,
    NonDeterminismError,
    TrainerOptions,
    create_trainer,
    open_journal,
)
from arkor.runner.replay import replay
from arkor.testing import ScriptedBackend

UNCHANGED = {
    "an effect asked for again": """
async def on_checkpoint(ctx):
    for _ in range(3):
        await ctx.once("key", str.upper, "x")
""",
    "effects at once, the first one slower": """
import asyncio

async def slow():
    await asyncio.sleep(0.01)

async def on_checkpoint(ctx):
    await asyncio.gather(ctx.once("slow", slow), ctx.once("fast", str), ctx.once("slow", slow))
""",
    "an effect that works the second time": """
tries = iter([0, 1, 1])

async def on_checkpoint(ctx):
    for _ in range(2):
        try:
            await ctx.once("key", lambda: 1 / next(tries))
        except ZeroDivisionError:
            continue
""",
}


@pytest.fixture
def run_id(home: Path, tmp_path: Path) -> str:
    """A run that SOURCE's callbacks saw to its end."""
    return recorded(tmp_path, SOURCE)


def recorded(tmp_path: Path, source: str) -> str:
    with ScriptedBackend(story(10), chat="yes") as backend:
        trainer = create_trainer(
            name="original",
            model="owner/model",
            dataset={"type": "huggingface", "name": "owner/data"},
            callbacks=callbacks(source),
            options=TrainerOptions(
                base_url=backend.url,
                cwd=tmp_path,
                credentials=AnonymousCredentials(
                    token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
                ),
            ),
        )
        assert trainer.wait_sync().succeeded
    assert trainer.run_id
    return trainer.run_id


def test_every_mutant_is_found(run_id: str) -> None:
    names = []
    for name, source in mutants():
        report = asyncio.run(replay(run_id, callbacks(source), strict=False))
        assert not report.ok, f"{name} was not found:\n{source}"
        with pytest.raises(NonDeterminismError):
            asyncio.run(replay(run_id, callbacks(source)))
        names.append(name)
    assert len(names) == len(set(names)) > 40


def test_no_variant_is_alarming(run_id: str) -> None:
    for source in variants(seed=7, count=20):
        assert asyncio.run(replay(run_id, callbacks(source))).ok, source


@pytest.mark.parametrize("case", UNCHANGED)
def test_unchanged_callbacks_are_never_alarming(home: Path, tmp_path: Path, case: str) -> None:
    run_id = recorded(tmp_path, UNCHANGED[case])
    assert asyncio.run(replay(run_id, callbacks(UNCHANGED[case]))).ok
    steps = [each for each in open_journal().records(run_id) if each.type == "arkor.step.completed"]
    notes = [json.loads(each.data) for each in steps]
    keys = [(note["record"], note["key"]) for note in notes if note["error"] is None]
    assert len(keys) == len(set(keys))
