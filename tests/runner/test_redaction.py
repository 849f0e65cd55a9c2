"""No token reaches the journal, however a backend, a callback or a dataset brings it along."""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor.core.redact import mask
from arkor.errors import CloudApiError
from arkor.runner.options import TrainerOptions
from arkor.runner.takeover import attach_sync, resume_with
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import AnonymousCredentials
from arkor.store.journal import open_journal
from arkor.store.writer import open_writer
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, Received, answer_json

TOKEN = "session-token/with-0123456789"
DATASET = "hf_dataset-token-0123456789"
SHORT = "tiny"
STARTED = {"type": "training.started"}
COMPLETED = {"type": "training.completed", "artifacts": []}


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)


def trainer(backend: ScriptedBackend, callbacks: Any = None, token: str = DATASET) -> Trainer:
    credentials = AnonymousCredentials(TOKEN, "anon-1", "anon-org")
    return create_trainer(
        name="a run",
        model="owner/model",
        dataset={"type": "blob", "url": "https://host/a.jsonl", "token": token},
        callbacks=callbacks,
        options=TrainerOptions(base_url=backend.url, credentials=credentials, reconnect_delay=0.02),
    )


def files(home: Path) -> bytes:
    """Everything that the store holds, its write-ahead log included."""
    return b"".join(file.read_bytes() for file in sorted(home.rglob("*")) if file.is_file())


def test_what_the_backend_echoes_is_struck_before_anybody_sees_it(home: Path) -> None:
    seen: list[str] = []
    escaped = TOKEN.replace("/", "\\/").encode()
    raw = b'id: x\ndata: {"type":"note","auth":"' + escaped + b'"}\n\n'
    echo = {"type": "training.log", "step": 1, "headers": f"Bearer {TOKEN}", "data": [DATASET]}
    with ScriptedBackend([STARTED, echo, raw, COMPLETED]) as backend:
        run = trainer(backend, {"on_event": lambda ctx: seen.append(ctx.event.text)})
        result = run.wait_sync()
        (job,) = backend.jobs.values()
    salt = open_writer().salt
    assert job["config"]["datasetSource"]["token"] == DATASET
    assert f"Bearer {mask(TOKEN, salt)}" in seen[1]
    assert mask(DATASET, salt) in seen[1]
    assert mask(TOKEN, salt) in seen[2]
    assert result.job.config["datasetSource"]["token"] == mask(DATASET, salt)
    kept = files(home) + repr((run, result, run.job)).encode()
    for secret in (TOKEN.encode(), DATASET.encode(), escaped):
        assert secret not in kept


def test_a_dataset_token_is_masked_whatever_its_length(home: Path) -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        run = trainer(backend, token=SHORT)
        run.wait_sync()
        assert run.run_id
        records = list(open_journal().records(run.run_id))
    assert not any(f'"{SHORT}"' in record.data for record in records)
    assert sum(mask(SHORT, open_writer().salt) in record.data for record in records) >= 2


def test_what_a_callback_raises_is_struck_in_the_log_and_unchanged_for_the_caller(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(ctx: Any) -> None:
        raise LookupError(f"no answer to {TOKEN}")

    with ScriptedBackend([STARTED, COMPLETED]) as backend, caplog.at_level(logging.DEBUG, "arkor"):
        run = trainer(backend, {"on_started": fail})
        with pytest.raises(LookupError, match=TOKEN):
            run.wait_sync()
        assert run.run_id
        failed = [
            record
            for record in open_journal().records(run.run_id)
            if record.type == "arkor.callback.failed"
        ]
    assert len(failed) == 1
    assert mask(TOKEN, open_writer().salt) in failed[0].data
    assert TOKEN.encode() not in files(home)
    assert TOKEN not in caplog.text


def test_a_refusal_that_quotes_the_token_does_not_hand_it_on(home: Path) -> None:
    with ScriptedBackend() as backend:
        refusal = {"error": f"bad token {TOKEN} for {DATASET}"}
        backend.on("POST", "/v1/jobs", answer_json(refusal, 403))
        with pytest.raises(CloudApiError) as caught:
            trainer(backend).start_sync()
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    kept = files(home)
    assert TOKEN.encode() not in kept
    assert DATASET.encode() not in kept


@pytest.mark.parametrize("token", [DATASET, SHORT])
def test_a_refusal_that_repeats_its_input_does_not_hand_the_datasets_token_on(
    home: Path, token: str
) -> None:
    def echo(request: Received) -> Answer:
        # What FastAPI answers by default.
        return answer_json({"detail": [{"loc": ["body"], "input": request.json()}]}, 422)

    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/jobs", echo)
        with pytest.raises(CloudApiError, match="datasetSource") as caught:
            trainer(backend, token=token).start_sync()
    assert token not in str(caught.value)
    assert token.encode() not in files(home)


ECHO = {"type": "training.log", "step": 1, "data": f"read with {DATASET}"}


def test_a_dataset_token_of_a_job_that_is_attached_to_is_kept_out_of_the_log(home: Path) -> None:
    with ScriptedBackend([STARTED, ECHO, COMPLETED]) as backend:
        theirs = trainer(backend)
        theirs.start_sync()
        backend.jobs["job-9"] = dict(backend.jobs["job-1"], id="job-9")
        run = attach_sync("job-9", options=theirs.plan.options)
        assert run.wait_sync().succeeded
        seen = [record.data for record in open_journal().records(run.run_id or "")]
    assert any(f"read with {mask(DATASET, open_writer().salt)}" in data for data in seen)
    assert DATASET.encode() not in files(home)


def test_a_dataset_token_is_kept_out_of_the_log_of_a_run_that_is_resumed(home: Path) -> None:
    with ScriptedBackend([STARTED, ECHO, COMPLETED]) as backend:
        submit = f"""
from arkor import AnonymousCredentials, TrainerOptions, create_trainer
create_trainer(
    name="a run", model="owner/model",
    dataset={{"type": "blob", "url": "https://host/a.jsonl", "token": {DATASET!r}}},
    options=TrainerOptions(base_url={backend.url!r},
        credentials=AnonymousCredentials({TOKEN!r}, "anon-1", "anon-org")),
).start_sync()
"""
        subprocess.run([sys.executable, "-c", submit], check=True, timeout=60)
        run = asyncio.run(resume_with("job-1", trainer(backend)))
        assert run.wait_sync().succeeded
        seen = [record.data for record in open_journal().records(run.run_id or "")]
    assert any(f"read with {mask(DATASET, open_writer().salt)}" in data for data in seen)
    assert DATASET.encode() not in files(home)
