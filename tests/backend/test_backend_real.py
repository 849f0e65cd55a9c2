"""The backend with its real workers: a run that is killed ends as one that is left alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from serving import Server, alive, until

import arkor.backend
from arkor.backend.service import BackendOptions

DATA = Path(arkor.backend.__file__).parent / "data" / "triage" / "train.jsonl"
RECIPE = {
    "model": "arkor/tiny",
    "maxSteps": 30,
    "batchSize": 4,
    "learningRate": 0.01,
    "loggingSteps": 1,
    "saveSteps": 10,
}


def losses(server: Server, job_id: str) -> list[tuple[int, float]]:
    events = [json.loads(event.data) for event in server.events(job_id) if event.id]
    return [(event["step"], event["loss"]) for event in events if event["type"] == "training.log"]


def ask(server: Server, adapter: dict[str, Any]) -> str:
    question = {"role": "user", "content": "I was charged twice for one order."}
    body = {"messages": [question], "adapter": adapter, "maxTokens": 8, "stream": False}
    answer = server.http.post("/v1/inference/chat", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.training
@pytest.mark.timeout(300)
def test_a_killed_backend_ends_its_run_with_the_same_losses(start, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    real = BackendOptions()
    commands = {"train_command": real.train_command, "chat_command": real.chat_command}
    server = start(**commands)
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert server.http.put(f"/v1/datasets/{digest}", content=DATA.read_bytes()).is_success
    recipe = RECIPE | {"datasetSource": {"type": "file", "sha256": digest, "name": DATA.name}}
    whole, killed = server.submit(**recipe), server.submit(**recipe)
    assert server.finished(whole)["status"] == "completed"

    server.wait_for(killed, type="training.log", step=13)
    worker = int((server.folder(killed) / "lock").read_text())
    server.process.kill()
    server.process.wait()
    until(lambda: not alive(worker), "the training process outlived its backend")

    again = start(**commands)
    # It was killed in the middle, and goes on by itself.
    assert again.job(killed)["status"] == "running"
    assert again.finished(killed)["status"] == "completed"
    assert losses(again, killed) == losses(again, whole)
    ids = [event.id for event in again.events(killed) if event.id]
    assert ids == [str(number) for number in range(1, len(ids) + 1)]
    final = [ask(again, {"kind": "final", "jobId": job}) for job in (whole, killed)]
    assert final[0] == final[1]
    assert ask(again, {"kind": "checkpoint", "jobId": killed, "step": 10})
