"""The backend with its real workers: what it has trained answers over the wire."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server

import arkor.backend
from arkor.backend.service import BackendOptions

DATA = Path(arkor.backend.__file__).parent / "data" / "triage" / "train.jsonl"
QUESTION = {"role": "user", "content": "I was charged twice for one order."}
RECIPE = {
    "model": "arkor/tiny",
    "maxSteps": 4,
    "batchSize": 2,
    "learningRate": 0.01,
    "loggingSteps": 2,
    "saveSteps": 2,
}


def ask(server: Server, **more: Any) -> Any:
    body = {"messages": [QUESTION], "maxTokens": 8, "stream": False} | more
    return server.http.post("/v1/inference/chat", json=body)


def answer(server: Server, **more: Any) -> str:
    said = ask(server, **more)
    assert said.status_code == 200, said.text
    return str(said.json()["choices"][0]["message"]["content"])


def endpoint_answer(server: Server, adapter: dict[str, Any]) -> str:
    """What a client with nothing but a new endpoint's key is told."""
    target = {"kind": "adapter", "adapter": adapter}
    new = {"slug": f"real-{adapter['kind']}", "target": target, "authMode": "fixed_api_key"}
    made = server.http.post("/v1/endpoints", json=new).json()["deployment"]
    issued = server.http.post(f"/v1/endpoints/{made['id']}/keys", json={"label": "test"}).json()
    said = httpx.post(
        f"{made['baseUrl']}/chat/completions",
        json={"model": "", "messages": [QUESTION], "max_tokens": 8},
        headers={"Authorization": f"Bearer {issued['key']['plaintext']}"},
        timeout=60,
        trust_env=False,
    )
    assert said.status_code == 200, said.text
    return str(said.json()["choices"][0]["message"]["content"])


@pytest.mark.training
@pytest.mark.timeout(300)
def test_what_was_trained_is_asked(start, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    real = BackendOptions()
    server = start(train_command=real.train_command, chat_command=real.chat_command)
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert server.http.put(f"/v1/datasets/{digest}", content=DATA.read_bytes()).is_success
    source = {"type": "file", "sha256": digest, "name": DATA.name}
    job_id = server.submit(**RECIPE, datasetSource=source)
    assert server.finished(job_id)["status"] == "completed"

    final = {"kind": "final", "jobId": job_id}
    step = {"kind": "checkpoint", "jobId": job_id, "step": 2}
    told = {
        answer(server, adapter=final),
        answer(server, adapter=step),
        answer(server, baseModel="arkor/tiny", temperature=0),
    }
    assert len(told) > 1
    assert answer(server, adapter=step | {"step": 4}) == answer(server, adapter=final)
    for target in (step, final):
        assert endpoint_answer(server, target) == answer(server, adapter=target)

    choice = {"choice": ["billing", "shipping"]}
    assert answer(server, adapter=final, structuredOutputs=choice) in choice["choice"]
    refused = ask(server, adapter=final, structuredOutputs={})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
