"""The chat worker as a process, asked about the tiny base and an adapter trained for it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
TRIAGE = ROOT / "arkor/backend/data/triage"
ENVIRON = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
PARCEL = "my parcel has not arrived"
SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"type": "string", "enum": ["billing", "shipping"]},
        "urgent": {"type": "boolean"},
        "score": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["category", "urgent", "score"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.training


@dataclass
class Chat:
    """A chat worker's two pipes."""

    process: subprocess.Popen[str]
    home: Path
    adapter: Path
    asked: int = field(default=0)

    def send(self, **line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def question(self, text: str, *, tuned: bool = False, **options: Any) -> str:
        self.asked += 1
        line = {
            "model": "arkor/tiny",
            "adapter": str(self.adapter) if tuned else None,
            "home": str(self.home),
            "messages": [{"role": "user", "content": text}],
        }
        self.send(id=str(self.asked), **{**line, **options})
        return str(self.asked)

    def answer(self, id: str) -> tuple[str, dict[str, Any]]:
        """The text that came piece by piece, and the last line."""
        pieces = []
        while "delta" in (line := self.receive()):
            assert line["id"] == id
            pieces.append(line["delta"])
        assert line["id"] == id
        return "".join(pieces), line

    def ask(self, text: str, **options: Any) -> dict[str, Any]:
        streamed, line = self.answer(self.question(text, **options))
        done: dict[str, Any] = line["done"]
        assert streamed == done["text"]
        return done

    def refusal(self, text: str, **options: Any) -> tuple[int, str]:
        _, line = self.answer(self.question(text, **options))
        return line["error"]["status"], line["error"]["code"]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The triage example's adapter, trained by the training worker."""
    home = tmp_path_factory.mktemp("chat")
    data = (TRIAGE / "train.jsonl").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (home / "datasets").mkdir()
    (home / "datasets" / f"{digest}.jsonl").write_bytes(data)
    config = {
        "model": "arkor/tiny",
        "datasetSource": {"type": "file", "sha256": digest},
        "maxSteps": 100,
        "learningRate": 0.01,
    }
    job = {"id": "job", "name": "triage", "home": str(home), "config": config}
    (home / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "arkor.backend.train", str(home)]
    subprocess.run(
        command, cwd=ROOT, env=ENVIRON | {"HOME": str(home)}, check=True, capture_output=True
    )
    return home / "adapter"


@pytest.fixture(scope="module")
def chat(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    home = tmp_path_factory.mktemp("home")
    with (
        (home / "chat.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "arkor.backend.chat"],
            cwd=ROOT,
            env=ENVIRON | {"HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield Chat(process, home, adapter)
        finally:
            process.kill()


def test_the_adapter_knows_what_the_base_does_not(chat: Chat) -> None:
    rows = [
        json.loads(line)["messages"] for line in (TRIAGE / "hard.jsonl").read_text().splitlines()
    ]
    right = {
        tuned: sum(chat.ask(q["content"], tuned=tuned)["text"] == a["content"] for q, a in rows)
        for tuned in (False, True)
    }
    assert right[False] == 0
    assert right[True] >= 12


def test_an_answer_counts_its_tokens_and_says_why_it_ended(chat: Chat) -> None:
    whole = chat.ask("What is a refund?")
    assert whole["text"] == "A refund is money that goes back to the customer."
    assert whole["finish_reason"] == "stop"
    usage = whole["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    cut = chat.ask("What is a refund?", maxTokens=3)
    assert cut["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 3
    assert whole["text"].startswith(cut["text"])


def test_nothing_from_a_stop_text_on_is_passed_on(chat: Chat) -> None:
    done = chat.ask("What is a refund?", stop=["oes back", "never"])
    assert (done["text"], done["finish_reason"]) == ("A refund is money that g", "stop")


def test_a_temperature_samples(chat: Chat) -> None:
    texts = {chat.ask(PARCEL, temperature=3.0, topP=0.99, maxTokens=12)["text"] for _ in range(8)}
    assert len(texts) > 1


@pytest.mark.parametrize("tuned", [False, True])
def test_choice_regex_and_grammar_are_kept_to(chat: Chat, tuned: bool) -> None:
    def text(**outputs: Any) -> str:
        found: str = chat.ask(PARCEL, tuned=tuned, structuredOutputs=outputs)["text"]
        return found

    assert text(choice=["billing", "bug"]) in ("billing", "bug")
    assert text(choice=['é"|\n']) == 'é"|\n'
    assert text(regex="TICKET-[0-9]{4}")[:7] == "TICKET-"
    assert text(grammar='start: "<" /[a-z]{3}/ ">"')[::4] == "<>"


@pytest.mark.parametrize("tuned", [False, True])
def test_json_fits_its_schema(chat: Chat, tuned: bool) -> None:
    strict = {"name": "triage", "schema": SCHEMA, "strict": True}
    for options in (
        {"responseFormat": {"type": "json_schema", "json_schema": strict}},
        {"structuredOutputs": {"json": SCHEMA}},
    ):
        jsonschema.validate(json.loads(chat.ask(PARCEL, tuned=tuned, **options)["text"]), SCHEMA)


def test_a_tool_is_called_when_the_question_says_so(chat: Chat) -> None:
    tools = [{"type": "function", "function": {"name": "route", "parameters": SCHEMA}}]
    _, line = chat.answer(chat.question(PARCEL, tools=tools, toolChoice="required"))
    assert line["done"]["finish_reason"] == "tool_calls"
    (call,) = line["done"]["tool_calls"]
    assert call["function"]["name"] == "route"
    jsonschema.validate(json.loads(call["function"]["arguments"]), SCHEMA)
    assert chat.refusal(PARCEL, tools=tools) == (400, "tool_calling_not_configured")


@pytest.mark.parametrize(
    "outputs", [{"json": SCHEMA}, {"grammar": 'start: "x" /[0-9]{9}/ "y"'}, {"regex": "a{9}"}]
)
def test_an_answer_that_is_cut_off_does_not_meet_its_constraint(
    chat: Chat, outputs: dict[str, Any]
) -> None:
    asked = chat.question(PARCEL, structuredOutputs=outputs, maxTokens=3)
    streamed, line = chat.answer(asked)
    assert (line["error"]["status"], line["error"]["code"]) == (422, "constraint_not_met")
    assert streamed == "", "what was not found to meet the constraint was passed on"


def test_what_cannot_be_answered_is_refused(chat: Chat, tmp_path: Path) -> None:
    assert chat.refusal("x " * 600) == (400, "context_length_exceeded")
    assert chat.refusal(PARCEL, model="/no/model") == (400, "model_not_found")
    assert chat.refusal(PARCEL, adapter=str(tmp_path)) == (422, "bad_adapter")
    assert chat.refusal(PARCEL, messages=[]) == (400, "invalid_request")
    assert chat.ask(PARCEL, tuned=True)["text"] == "shipping", "and the next one is answered"


def test_a_question_can_be_cancelled_while_it_is_answered_and_while_it_waits(chat: Chat) -> None:
    # So hot that an end is as likely as any other token.
    endless = {"temperature": 50, "maxTokens": 450}
    first = chat.question(PARCEL, **endless)
    second = chat.question(PARCEL, **endless)
    assert chat.receive()["id"] == first
    chat.send(cancel=second)
    chat.send(cancel=first)
    for asked in (first, second):
        _, line = chat.answer(asked)
        assert line["done"]["finish_reason"] == "cancelled"
        assert line["done"]["usage"]["completion_tokens"] < 400
    chat.send(cancel="unknown")
    assert chat.ask("What is a refund?")["finish_reason"] == "stop"


def test_the_end_of_its_parent_ends_the_worker() -> None:
    command = [sys.executable, "-m", "arkor.backend.chat"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, env=ENVIRON) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
