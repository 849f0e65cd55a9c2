"""A recorded run, served again: the events word for word, and its end as it was."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from arkor.cli.main import app
from arkor.core.record import Record
from arkor.runner.options import TrainerOptions
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.store.journal import Journal, open_journal
from arkor.testing import Cut, RecordedBackend, ScriptedBackend, read_export

STARTED = {"type": "training.started"}
ODD = b'id: x\nevent: gpu.hot\ndata: {"a":1,\ndata:  "b": "\xc3\xa4"}\n\n'
UNNAMED = b'data: {"type":"training.log","step":7,"loss":0.5}\n\n'
COMPLETED = {"type": "training.completed", "artifacts": [{"pathname": "a"}]}


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)


def follow(backend: ScriptedBackend, home: Path | None = None, callbacks: Any = None) -> Trainer:
    run = create_trainer(
        name="a run",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=callbacks,
        options=TrainerOptions(
            base_url=backend.url,
            credentials=AnonymousCredentials("a-token-of-this-test-0123", "a", "anon-org"),
            home=home,
            reconnect_delay=0.01,
        ),
    )
    run.wait_sync()
    return run


def record(*events: Any, **given: Any) -> list[Record]:
    """The log of a run that was followed once."""
    with ScriptedBackend(events, **given) as backend:
        for number in range(3):  # so that its job is not called `job-1`
            backend.jobs[f"job-of-others-{number}"] = {}
        run = follow(backend)
    return list(open_journal().records(run.run_id or ""))


def events(records: list[Record]) -> list[tuple[str, str, str | None]]:
    return [(r.type, r.data, r.sse_id) for r in records if r.source == "stream" and r.type != "end"]


def again(backend: RecordedBackend, home: Path) -> list[Record]:
    run = follow(backend, home)
    return list(Journal(home / "arkor.db").records(run.run_id or ""))


@pytest.mark.parametrize("cut", [None, 1, 2, 3])
def test_the_events_come_word_for_word(tmp_path: Path, cut: int | None) -> None:
    recorded = record(STARTED, ODD, UNNAMED, COMPLETED)
    with RecordedBackend() as backend:
        backend.play(recorded)
        if cut is not None:
            backend.events.insert(cut, Cut())
        second = again(backend, tmp_path / "second")
    assert events(second) == events(recorded)
    assert len(events(recorded)) == 4


def test_an_end_that_no_event_told_is_played_too(tmp_path: Path) -> None:
    recorded = cancelled()
    with RecordedBackend() as backend:
        backend.play(recorded)
        seen: list[str] = []
        run = follow(backend, tmp_path / "second", {"on_cancelled": lambda c: seen.append("end")})
    assert run.job is not None
    assert (run.job.status, seen) == ("cancelled", ["end"])


def cancelled() -> list[Record]:
    with ScriptedBackend([STARTED, ODD]) as backend:

        async def cancel(ctx: Any) -> None:
            await ctx.request_cancel()

        run = follow(backend, callbacks={"on_started": cancel})
    return list(open_journal().records(run.run_id or ""))


def test_an_export_can_be_played(tmp_path: Path) -> None:
    recorded = record(STARTED, UNNAMED, COMPLETED)
    path = tmp_path / "run.jsonl"
    shown = CliRunner().invoke(app, ["events", recorded[0].run_id, "--json"])
    path.write_text(shown.stdout)
    seen: list[Any] = []
    with RecordedBackend() as backend:
        backend.play(read_export(path))
        follow(backend, tmp_path / "second", {"on_log": lambda ctx: seen.append(ctx.loss)})
    assert seen == [0.5]


@pytest.mark.parametrize("line", ["", "[]", '{"seq": 1}', "not json"])
def test_what_is_no_export_is_said_so(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1"):
        list(read_export(path))


def test_records_without_a_job_cannot_be_played() -> None:
    with pytest.raises(ValueError, match="no job"):
        RecordedBackend().play([])
