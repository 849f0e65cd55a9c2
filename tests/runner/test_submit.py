"""Never pay twice: submissions whose answer got lost, with and without idempotency keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, child, trainer

from arkor.errors import (
    BackendUnreachableError,
    CloudApiError,
    ConfigError,
    SubmissionInDoubtError,
)
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, Cut, Received, answer_json, lost

pytestmark = pytest.mark.usefixtures("project")

WRITTEN_BY_A_DEAD_PROCESS = """
import os, threading
def watch(frame, event, argument):
    if event == "call" and frame.f_code.co_qualname == "CloudApiClient.create_job":
        os._exit(9)
threading.setprofile(watch)
trainer().start_sync()
"""


def die_before_the_request(backend: ScriptedBackend, project: Path) -> None:
    assert child(backend, project, WRITTEN_BY_A_DEAD_PROCESS).returncode == 9


def job_like_ours(id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "orgId": "org-1",
        "projectId": "project-1",
        "name": "a run",
        "status": "queued",
        "createdAt": datetime.now(UTC).isoformat(),
        "config": {
            "model": "owner/model",
            "datasetSource": {"type": "huggingface", "name": "owner/data"},
            "serverDefault": 1,
        },
        **changes,
    }


@pytest.mark.parametrize("idempotency", [True, False])
def test_an_answer_that_got_lost_is_found_again(idempotency: bool) -> None:
    with ScriptedBackend([COMPLETED], idempotency=idempotency) as backend:
        backend.on("POST", "/v1/jobs", lost(backend.create_job), backend.create_job)
        run = trainer(backend)
        assert run.wait_sync().succeeded
        assert list(backend.jobs) == ["job-1"]


def test_a_request_that_got_lost_is_sent_again_with_the_same_key() -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs", Answer(before=(Cut(),)), backend.create_job)
        assert trainer(backend).wait_sync().succeeded
        posts = [request for request in backend.requests if request.method == "POST"]
        keys = [r.headers["idempotency-key"] for r in posts if r.path == "/v1/jobs"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_backend_that_is_down_for_long_leaves_a_run_that_goes_on() -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs", answer_json({"error": "down"}, 503))
        run = trainer(backend)
        with pytest.raises(CloudApiError, match="down"):
            run.start_sync()
        backend.on("POST", "/v1/jobs", backend.create_job)
        assert run.wait_sync().succeeded
        assert len(open_journal().runs()) == 1


def test_nothing_is_in_doubt_if_nothing_was_sent() -> None:
    with ScriptedBackend([COMPLETED]) as backend:
        run = trainer(backend)
    with pytest.raises(BackendUnreachableError):
        run.start_sync()
    assert open_journal().runs() == []


def test_the_only_job_like_ours_is_adopted_and_called_a_match(project: Path) -> None:
    with ScriptedBackend([COMPLETED], idempotency=False) as backend:
        die_before_the_request(backend, project)
        backend.jobs["job-7"] = job_like_ours("job-7")
        backend.jobs["old"] = job_like_ours(
            "old", createdAt=(datetime.now(UTC) - timedelta(hours=1)).isoformat()
        )
        backend.jobs["other"] = job_like_ours("other", name="another")
        run = trainer(backend)
        assert run.start_sync().job_id == "job-7"
        assert len(backend.jobs) == 3
    submitted = [
        each for each in open_journal().records(run.run_id or "") if each.type == "arkor.submitted"
    ]
    assert '"matched":true' in submitted[0].data


def test_of_several_jobs_like_ours_none_is_guessed(project: Path) -> None:
    with ScriptedBackend([COMPLETED], idempotency=False) as backend:
        die_before_the_request(backend, project)
        for name in ("job-7", "job-8"):
            backend.jobs[name] = job_like_ours(name)
        with pytest.raises(SubmissionInDoubtError, match="arkor adopt") as caught:
            trainer(backend).start_sync()
        assert set(caught.value.candidates) == {"job-7", "job-8"}
        assert len(backend.jobs) == 2


def test_where_no_job_is_like_ours_the_request_is_sent(project: Path) -> None:
    with ScriptedBackend([COMPLETED], idempotency=False) as backend:
        die_before_the_request(backend, project)
        started = trainer(backend).start_sync()
        assert (started.resumed, list(backend.jobs)) == (True, ["job-1"])


def test_what_the_backend_adds_makes_no_job_another(project: Path) -> None:
    with ScriptedBackend([COMPLETED], idempotency=False) as backend:
        die_before_the_request(backend, project)
        config = job_like_ours("x")["config"]
        added = {**config["datasetSource"], "revision": "main", "rows": {"train": 90}}
        changed = {**config["datasetSource"], "name": "owner/other"}
        for name, source in {"job-7": added, "job-8": changed, "job-9": "owner/data"}.items():
            backend.jobs[name] = job_like_ours(name, config={**config, "datasetSource": source})
        assert trainer(backend).start_sync().job_id == "job-7"


def test_a_job_of_an_unreadable_date_may_be_ours(project: Path) -> None:
    with ScriptedBackend([COMPLETED], idempotency=False) as backend:
        die_before_the_request(backend, project)
        backend.jobs["job-7"] = job_like_ours("job-7", createdAt="yesterday")
        assert trainer(backend).start_sync().job_id == "job-7"


def test_a_dataset_that_vanishes_before_it_is_sent_is_named(project: Path) -> None:
    file = project / "train.jsonl"
    file.write_text('{"prompt": "a"}\n')
    with ScriptedBackend([COMPLETED]) as backend:

        def gone(request: Received) -> Answer:
            file.unlink()
            return Answer(404)

        backend.on("HEAD", "/v1/datasets/{sha256}", gone)
        run = trainer(backend, dataset={"type": "file", "path": "train.jsonl"})
        with pytest.raises(
            ConfigError, match=r"dataset\.path.*train\.jsonl.*nothing was submitted"
        ):
            run.start_sync()
    assert open_journal().runs() == []
