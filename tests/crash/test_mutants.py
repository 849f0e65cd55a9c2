"""Changed callbacks are found by a replay, every one; those merely written otherwise never are."""

import asyncio
from pathlib import Path

import pytest
from mutants import SOURCE, callbacks, mutants, variants
from scene import story

from arkor import AnonymousCredentials, NonDeterminismError, TrainerOptions, create_trainer
from arkor.runner.replay import replay
from arkor.testing import ScriptedBackend


@pytest.fixture
def run_id(home: Path, tmp_path: Path) -> str:
    """A run that SOURCE's callbacks saw to its end."""
    with ScriptedBackend(story(10), chat="yes") as backend:
        trainer = create_trainer(
            name="original",
            model="owner/model",
            dataset={"type": "huggingface", "name": "owner/data"},
            callbacks=callbacks(SOURCE),
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
