"""Chat over the wire: whole, as it comes, refused, broken off."""

import json
import os
import signal
from typing import Any

import pytest
from serving import alive, until


def body_of(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "baseModel": "tiny"} | more


def ask(server, text: str, **more: Any):
    return server.http.post("/v1/inference/chat", json=body_of(text, stream=False, **more))


def who(server, **more: Any) -> list[Any]:
    answer = ask(server, "!who", **more)
    return list(json.loads(answer.json()["choices"][0]["message"]["content"]))


def data_of(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line]


def test_a_whole_answer_is_a_chat_completion(server) -> None:
    answer = ask(server, "hello there")
    assert answer.status_code == 200
    said = answer.json()
    assert said["object"] == "chat.completion"
    assert said["model"] == "tiny"
    assert said["id"].startswith("chatcmpl-")
    assert said["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    message = {"role": "assistant", "content": "hellothere"}
    assert said["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_an_answer_comes_in_chunks(server, more) -> None:
    answer = server.http.post("/v1/inference/chat", json=body_of("a b c", **more))
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = data_of(answer.text)
    assert done == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks]
    assert {chunk["object"] for chunk in parsed} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"]) for chunk in parsed}) == 1
    choices = [chunk["choices"][0] for chunk in parsed]
    assert choices[0]["delta"]["role"] == "assistant"
    assert [choice["delta"].get("content") for choice in choices[1:-1]] == ["a", "b", "c"]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["stop"]
    assert parsed[-1]["usage"]["total_tokens"] == 4


def test_tool_calls_both_ways(server) -> None:
    choice = ask(server, "!tool").json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "f"

    streamed = server.http.post("/v1/inference/chat", json=body_of("!tool")).text
    chunks = [json.loads(data)["choices"][0] for data in data_of(streamed)[:-1]]
    assert (
        chunks[1]["delta"]["tool_calls"][0] | {"index": 0, "id": "c1"}
        == (chunks[1]["delta"]["tool_calls"][0])
    )
    assert chunks[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_before_the_first_word_has_its_status(server, stream) -> None:
    answer = server.http.post("/v1/inference/chat", json=body_of("!refuse", stream=stream))
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_schema", "message": "no"}


def test_an_error_in_the_middle_is_the_last_frame(server) -> None:
    answer = server.http.post("/v1/inference/chat", json=body_of("a !break"))
    assert answer.status_code == 200
    *_, last = data_of(answer.text)
    error = json.loads(last)["error"]
    assert (error["code"], error["status"]) == ("constraint_not_met", 422)
    assert ask(server, "a !break").status_code == 422


def test_an_adapter_is_asked_on_its_jobs_model(server, tmp_path) -> None:
    job_id = server.submit(steps=4, model="some/model")
    server.finished(job_id)
    final = {"kind": "final", "jobId": job_id}
    step = {"kind": "checkpoint", "jobId": job_id, "step": 2}
    folder = server.folder(job_id)
    assert who(server, adapter=final, baseModel=None)[1:] == ["some/model", str(folder / "adapter")]
    assert who(server, adapter=step, baseModel=None)[2] == str(folder / "checkpoint-2")

    answer = ask(server, "x", adapter=step | {"step": 3}, baseModel=None)
    assert answer.status_code == 422
    assert "step 3" in answer.json()["error"]
    answer = ask(server, "x", adapter=final | {"jobId": "nope"}, baseModel=None)
    assert answer.status_code == 404


def test_an_adapter_that_is_not_there_yet(server) -> None:
    job_id = server.submit(steps=1, gate="/nowhere")
    server.wait_for(job_id, type="training.started")
    answer = ask(server, "x", adapter={"kind": "final", "jobId": job_id}, baseModel=None)
    assert answer.status_code == 422
    assert "running" in answer.json()["error"]
    server.cancel(job_id)


@pytest.mark.parametrize(
    "change",
    [
        {"baseModel": None},
        {"baseModel": ""},
        {"adapter": {"kind": "final", "jobId": "x"}},
        {"adapter": {"kind": "best", "jobId": "x"}, "baseModel": None},
        {"adapter": {"kind": "checkpoint", "jobId": "x"}, "baseModel": None},
        {"stream": "yes"},
    ],
)
def test_what_names_no_model_is_refused(server, change) -> None:
    answer = server.http.post("/v1/inference/chat", json=body_of("x") | change)
    assert answer.status_code == 400
    assert "`" in answer.json()["error"]


def test_a_question_that_nobody_waits_for_is_cancelled(server) -> None:
    with server.http.stream("POST", "/v1/inference/chat", json=body_of("!forever")) as response:
        next(response.iter_lines())
    log = server.home / "backend" / "chat.log"
    until(lambda: "cancelled" in log.read_text(), "the chat process was not told")
    assert ask(server, "still here").status_code == 200


def test_a_chat_process_that_dies_is_started_anew(server) -> None:
    pid = who(server)[0]
    assert who(server)[0] == pid
    answer = ask(server, "a !die")
    assert answer.status_code == 500
    assert "exit code 7" in answer.json()["error"]
    streamed = server.http.post("/v1/inference/chat", json=body_of("a !die"))
    assert json.loads(data_of(streamed.text)[-1])["error"]["status"] == 500
    assert who(server)[0] != pid


def test_an_idle_chat_process_ends(start) -> None:
    server = start(chat_idle_timeout=0.2)
    pid = who(server)[0]
    until(lambda: not alive(pid), "the chat process still runs")
    assert who(server)[0] != pid


def test_the_chat_process_dies_with_its_server(start) -> None:
    killed = start()
    pid = who(killed)[0]
    os.kill(killed.process.pid, signal.SIGKILL)
    until(lambda: not alive(pid), "the chat process outlived its server")
    killed.process.wait()
    stopped = start()
    pid = who(stopped)[0]
    with stopped.http.stream("POST", "/v1/inference/chat", json=body_of("!forever")) as response:
        next(response.iter_raw())
        stopped.process.terminate()
        assert stopped.process.wait(5) == 0
    assert not alive(pid)
