"""Early stopping asks the backend once, whatever happens between the asking and the end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arkor.errors import CloudApiError, ConfigError
from arkor.runner.early_stopping import EarlyStopping
from arkor.runner.options import TrainerOptions
from arkor.runner.progress_bar import ProgressBar
from arkor.runner.replay import replay
from arkor.runner.takeover import resume_run
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, answer_json

STARTED = {"type": "training.started"}
CHECKPOINT = {"type": "checkpoint.saved", "step": 20}
COMPLETED = {"type": "training.completed", "artifacts": []}


def logs(*steps: int) -> list[dict[str, Any]]:
    return [{"type": "training.log", "step": step, "loss": float(step)} for step in steps]


def options(backend: ScriptedBackend) -> TrainerOptions:
    credentials = AnonymousCredentials("a-token-of-this-test-0123", "anon-1", "anon-org")
    return TrainerOptions(base_url=backend.url, credentials=credentials, reconnect_delay=0.02)


def trainer(backend: ScriptedBackend, *callbacks: Any) -> Trainer:
    return create_trainer(
        name="a run",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=callbacks,
        options=options(backend),
    )


def resume(backend: ScriptedBackend, *callbacks: Any) -> None:
    async def wait() -> None:
        await (await resume_run("@last", callbacks=callbacks, options=options(backend))).wait()

    asyncio.run(wait())


def asked(backend: ScriptedBackend) -> int:
    return sum(request.path.endswith("/cancel") for request in backend.requests)


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_job_that_goes_on_reporting_is_not_asked_again() -> None:
    with ScriptedBackend([STARTED, *logs(*range(1, 20)), COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs/{id}/cancel", answer_json({}))
        run = trainer(backend, EarlyStopping(ceiling=4.5))
        assert run.wait_sync().succeeded
        assert asked(backend) == 1
    report = asyncio.run(replay(run.run_id or "", EarlyStopping(ceiling=4.5)))
    assert report.ok


def test_what_was_refused_is_asked_again() -> None:
    with ScriptedBackend([STARTED, *logs(1, 2, 3), COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs/{id}/cancel", Answer(403), answer_json({}))
        run = trainer(backend, EarlyStopping(ceiling=0.5))
        with pytest.raises(CloudApiError):
            run.wait_sync()
        assert run.wait_sync().succeeded
        assert asked(backend) == 2


def fails_at(callback: str) -> dict[str, Any]:
    def fail(ctx: Any) -> None:
        raise RuntimeError("not yet")

    return {callback: fail, "name": "other"}


def test_a_set_that_is_rebuilt_finds_that_it_has_asked() -> None:
    events = [STARTED, *logs(1, 2, 3), CHECKPOINT, *logs(21, 22), COMPLETED]
    with ScriptedBackend(events) as backend:
        backend.on("POST", "/v1/jobs/{id}/cancel", answer_json({}))
        with pytest.raises(RuntimeError):
            trainer(backend, EarlyStopping(ceiling=1.5), fails_at("on_checkpoint")).wait_sync()
        resume(backend, EarlyStopping(ceiling=1.5), {"name": "other"})
        assert asked(backend) == 1


def test_a_set_that_would_have_stopped_earlier_asks_as_soon_as_it_is_live() -> None:
    events = [STARTED, *logs(1, 2, 3), CHECKPOINT, *logs(21, 22, 23), COMPLETED]
    with ScriptedBackend(events) as backend:
        backend.on("POST", "/v1/jobs/{id}/cancel", answer_json({}))
        with pytest.raises(RuntimeError):
            trainer(backend, EarlyStopping(), fails_at("on_checkpoint")).wait_sync()
        assert asked(backend) == 0
        stricter = EarlyStopping(ceiling=1.5)
        resume(backend, stricter, {"name": "other"})
        assert asked(backend) == 1
        assert "step 2" in str(stricter.reason)


@pytest.mark.parametrize("kind", [EarlyStopping, ProgressBar])
def test_two_of_a_kind_need_names(kind: Any) -> None:
    with ScriptedBackend() as backend:
        with pytest.raises(ConfigError, match="give each a `name`"):
            trainer(backend, kind(), kind())
        named = trainer(backend, kind(name="a"), kind(name="b"))
    assert [consumer.name for consumer in named.consumers] == ["a", "b"]
