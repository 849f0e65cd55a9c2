"""The playground: what can be asked, the asking, and the page in a real browser."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_app import COMPLETED, TOKEN, browser, stream, write_run

from arkor import create_trainer
from arkor.core.spec import HuggingfaceDataset
from arkor.core.wire import frame
from arkor.runner.options import TrainerOptions
from arkor.studio.guard import TOKEN_HEADER
from arkor.testing import Received, ScriptedBackend, Until, answer_json, event_stream

MARKUP = "<img src=x onerror=\"document.title='owned'\">"
CHAT = "/api/inference/chat"
HELLO = {"baseModel": "some/model", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def backend(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBackend]:
    """A backend that answers each chat with markup; the project's is this one."""
    with ScriptedBackend(
        [
            {"type": "training.started"},
            {"type": "checkpoint.saved", "step": 10},
            {"type": "checkpoint.saved", "step": 20},
            {"type": "training.completed", "artifacts": []},
        ],
        chat=f"I say {MARKUP} to that",
    ) as running:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", running.url)
        yield running


def delta(text: str) -> bytes:
    return frame("message", json.dumps({"choices": [{"delta": {"content": text}}]}))


def asked(backend: ScriptedBackend) -> list[Any]:
    """The bodies of the chats that reached the backend."""
    return [each.json() for each in backend.requests if each.path == "/v1/inference/chat"]


def trained(backend: ScriptedBackend, home: Path) -> str:
    """The id of a run that the backend has trained."""
    options = TrainerOptions(home=home, cwd=home.parent, base_url=backend.url)
    run = create_trainer(
        name="triage",
        model="some/model",
        dataset=HuggingfaceDataset("some/data"),
        options=options,
    )
    assert run.wait_sync().succeeded
    assert run.run_id
    return run.run_id


def pieces(text: str) -> list[Any]:
    """The values of a stream's `data:` lines."""
    assert text.endswith("\n\n")
    lines = [each.removeprefix("data: ") for each in text.strip().split("\n\n")]
    return [each if each == "[DONE]" else json.loads(each) for each in lines]


def test_a_run_offers_its_adapter_its_checkpoints_and_its_base_model(home: Path) -> None:
    saved = [stream("checkpoint.saved", step=step, id=str(step)) for step in (10, 20)]
    run = write_run(home, "triage", *saved, COMPLETED, status="completed")
    models = browser(home).get(f"/api/inference/models?run={run}").json()["models"]
    assert [each["ask"] for each in models] == [
        {"adapter": {"kind": "final", "jobId": "job-triage"}},
        {"adapter": {"kind": "checkpoint", "jobId": "job-triage", "step": 20}},
        {"adapter": {"kind": "checkpoint", "jobId": "job-triage", "step": 10}},
        {"baseModel": "arkor/tiny"},
    ]
    assert models[1]["label"] == "Checkpoint of step 20"


def test_a_run_that_saved_nothing_offers_its_base_model(home: Path) -> None:
    run = write_run(home, "young")
    models = browser(home).get(f"/api/inference/models?run={run}").json()["models"]
    assert [each["ask"] for each in models] == [{"baseModel": "arkor/tiny"}]


def test_the_embedded_backends_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    (model := home / "backend" / "models" / "own" / "model").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    models = browser(home).get("/api/inference/models").json()["models"]
    assert [each["ask"]["baseModel"] for each in models] == ["arkor/tiny", "own/model"]


def test_an_answer_comes_in_pieces_and_the_body_goes_as_it_is(
    backend: ScriptedBackend, home: Path
) -> None:
    answer = browser(home).post(CHAT, json={**HELLO, "temperature": 0, "other": [1]})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *said, last = pieces(answer.text)
    text = "".join(each["choices"][0]["delta"]["content"] for each in said)
    assert (text, last) == (f"I say {MARKUP} to that", "[DONE]")
    assert asked(backend) == [{**HELLO, "temperature": 0, "other": [1], "stream": True}]


def test_a_whole_answer(backend: ScriptedBackend, home: Path) -> None:
    answer = browser(home).post(CHAT, json={**HELLO, "stream": False})
    assert answer.json()["choices"][0]["message"]["content"] == f"I say {MARKUP} to that"


def test_a_run_is_asked_at_its_own_backend(backend: ScriptedBackend, home: Path) -> None:
    run = trained(backend, home)
    adapter = {"kind": "checkpoint", "jobId": "job", "step": 10}
    answer = browser(home).post(
        f"{CHAT}?run={run}", json={"messages": HELLO["messages"], "adapter": adapter}
    )
    assert pieces(answer.text)[-1] == "[DONE]"
    assert asked(backend)[0]["adapter"] == adapter


def test_nobody_is_signed_in_where_the_run_is(home: Path) -> None:
    run = write_run(home, "triage")
    answer = browser(home).post(f"{CHAT}?run={run}", json=HELLO)
    assert answer.status_code == 401
    assert "nobody is signed in here" in answer.json()["error"]


@pytest.mark.parametrize("status", [402, 422, 429, 503])
def test_a_refusal_keeps_its_status_and_tells_no_token(
    backend: ScriptedBackend, home: Path, status: int
) -> None:
    def refuse(request: Received) -> Any:
        return answer_json({"error": f"not for {request.headers['authorization']}"}, status)

    backend.on("POST", "/v1/inference/chat", refuse)
    answer = browser(home).post(CHAT, json=HELLO)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert backend.requests[-1].headers["authorization"].split()[1] not in answer.text


def test_an_answer_that_breaks_off_says_so_in_the_stream(
    backend: ScriptedBackend, home: Path
) -> None:
    failure = frame("message", json.dumps({"error": {"message": "out of memory"}}))
    backend.on("POST", "/v1/inference/chat", event_stream(delta("Well"), failure))
    first, last = pieces(browser(home).post(CHAT, json=HELLO).text)
    assert first["choices"][0]["delta"]["content"] == "Well"
    assert "out of memory" in last["error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "Invalid JSON body"),
        (b"[]", 400, "must be a JSON object"),
        (b"{}", 400, "messages"),
        (b'{"messages": []}', 400, "messages"),
    ],
)
def test_what_is_no_chat_is_refused(home: Path, body: bytes, status: int, said: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = browser(home).post(CHAT, content=body, headers=headers)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize("path", [f"{CHAT}?run=NOPE", "/api/inference/models?run=NOPE"])
def test_a_run_that_is_not_there(home: Path, path: str) -> None:
    client = browser(home)
    answer = client.post(path, json=HELLO) if CHAT in path else client.get(path)
    assert answer.status_code == 404


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + delta("Well")])
def test_whoever_goes_away_stops_the_model(
    studio: Any, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    heard, gone = threading.Event(), threading.Event()

    def model() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(said)
            heard.set()
            while connection.recv(65536):
                pass
            gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("ARKOR_TOKEN", "a-token")
        monkeypatch.setenv("ARKOR_PROJECT", "o/p")
        thread = threading.Thread(target=model, daemon=True)
        thread.start()
        content = json.dumps(HELLO).encode()
        lines = [
            f"POST {CHAT} HTTP/1.1",
            f"Host: localhost:{studio.port}",
            f"{TOKEN_HEADER}: {TOKEN}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        ]
        with socket.create_connection(("127.0.0.1", studio.port)) as browser:
            browser.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
            assert heard.wait(10)
        assert gone.wait(10)
        thread.join()


def test_the_page_talks_and_shows_text_only(
    backend: ScriptedBackend, studio: Any, page: Any
) -> None:
    page.goto("/playground")
    page.get_by_label("Base model").fill("some/model")
    page.get_by_label("System prompt").fill("Be brief")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Max tokens").fill("12")
    page.get_by_label("Message").fill("First")
    page.keyboard.press("Enter")
    page.get_by_text("Answered after").wait_for()
    assert page.locator(".said.model").inner_text() == f"I say {MARKUP} to that"
    page.get_by_label("Message").fill("Second")
    page.get_by_role("button", name="Send").click()
    page.locator(".note").nth(1).wait_for()
    assert page.title() != "owned"
    first, second = asked(backend)
    assert first == {
        "baseModel": "some/model",
        "temperature": 0,
        "maxTokens": 12,
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "First"},
        ],
    }
    assert [each["role"] for each in second["messages"]] == ["system", "user", "assistant", "user"]


def test_what_failed_is_shown_and_not_said_again(
    backend: ScriptedBackend, page: Any, complaints: Any
) -> None:
    refusal, answer = answer_json({"error": "no room"}, 422), backend.answer_chat
    backend.on("POST", "/v1/inference/chat", refusal, answer)
    page.goto("/playground")
    page.get_by_label("Base model").fill("some/model")
    page.get_by_label("Message").fill("Hello")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no room").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("Answered after").wait_for()
    assert page.get_by_text("no room").count() == 0
    assert [each["messages"] for each in asked(backend)] == [[HELLO["messages"][0]]] * 2
    complaints.said.clear()


def test_enter_sends_but_neither_shift_enter_nor_that_of_an_input_method(
    backend: ScriptedBackend, page: Any
) -> None:
    page.goto("/playground")
    page.get_by_label("Base model").fill("some/model")
    question = page.get_by_label("Message")
    question.fill("One")
    page.keyboard.press("Shift+Enter")
    question.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    page.keyboard.type("Two")
    assert page.locator(".said").count() == 0
    page.keyboard.press("Enter")
    page.get_by_text("Answered after").wait_for()
    assert asked(backend)[0]["messages"][-1]["content"] == "One\nTwo"


def test_stop_ends_the_answer_and_keeps_what_was_said(backend: ScriptedBackend, page: Any) -> None:
    more = threading.Event()
    backend.on("POST", "/v1/inference/chat", event_stream(delta("So far"), Until(more)))
    page.goto("/playground")
    page.get_by_label("Base model").fill("some/model")
    page.get_by_label("Message").fill("Hello")
    page.keyboard.press("Enter")
    page.locator(".said.model").get_by_text("So far").wait_for()
    assert page.get_by_role("button", name="Send").is_disabled()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped after").wait_for()
    assert page.locator(".said.model").inner_text() == "So far"
    more.set()


def test_two_are_asked_the_same_side_by_side(
    backend: ScriptedBackend, home: Path, page: Any
) -> None:
    run = trained(backend, home)
    page.goto(f"/playground?run={run}&step=10")
    page.get_by_role("button", name="Compare two").click()
    page.locator("#variant-1").get_by_text("Base model").wait_for(state="attached")
    page.get_by_label("Message").fill("Hello")
    page.keyboard.press("Enter")
    page.locator(".note").nth(1).wait_for()
    bodies = asked(backend)
    assert sorted("adapter" in each for each in bodies) == [False, True]
    assert [each["adapter"]["step"] for each in bodies if "adapter" in each] == [10]
    assert page.url.endswith(f"/playground?run={run}&step=10&run2={run}&step2=base")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save chat").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert [json.loads(line)["messages"][0]["content"] for line in lines] == ["Hello", "Hello"]


def test_another_model_begins_another_conversation(
    backend: ScriptedBackend, home: Path, page: Any
) -> None:
    run = trained(backend, home)
    page.goto(f"/playground?run={run}")
    page.locator("#variant-0").get_by_text("Final adapter").wait_for(state="attached")
    page.get_by_label("Message").fill("Hello")
    page.keyboard.press("Enter")
    page.get_by_text("Answered after").wait_for()
    page.get_by_label("Trained so far").select_option("Checkpoint of step 20")
    page.get_by_text("No messages yet").wait_for()
    assert page.url.endswith(f"?run={run}&step=20")


def test_an_address_of_a_run_that_is_not_there_says_so(page: Any) -> None:
    page.goto("/playground?run=NOPE")
    page.get_by_role("alert").get_by_text("NOPE").wait_for()
    page.get_by_text("Runs appear here once they have trained").wait_for()
