"""From a chat request to the question that the chat process understands."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from arkor.backend.checkpoints import ADAPTER, complete_checkpoints
from arkor.backend.folder import Folder
from arkor.backend.refusals import Refusal
from arkor.core.wire import Job

__all__ = ["parse_question"]

_PASSED_ON: Final = (
    "temperature",
    "topP",
    "maxTokens",
    "stop",
    "tools",
    "toolChoice",
    "responseFormat",
    "structuredOutputs",
)
_CONSTRAINTS: Final = ("json", "regex", "choice", "grammar", "json_object")


def parse_question(
    body: Mapping[str, Any], folder: Folder, find_job: Callable[[str], Job]
) -> dict[str, Any]:
    """The question of a request's body, for the model and the adapter that it names.

    `Refusal` 400 for a body that is none, 422 for an adapter that does not exist (yet), and
    what `find_job` raises for a job that does not.
    """
    _check_messages(body.get("messages"))
    _check_numbers(body)
    _check_constraints(body)
    model, adapter = _model(body, folder, find_job)
    question = {key: body[key] for key in _PASSED_ON if body.get(key) is not None}
    return question | {
        "model": model,
        "adapter": None if adapter is None else str(adapter),
        "home": str(folder.path),
        "messages": body["messages"],
    }


def _model(
    body: Mapping[str, Any], folder: Folder, find_job: Callable[[str], Job]
) -> tuple[str, Path | None]:
    adapter, base = body.get("adapter"), body.get("baseModel")
    if (adapter is None) == (base is None):
        raise Refusal(400, "give exactly one of `adapter` and `baseModel`")
    if adapter is None:
        if not isinstance(base, str) or not base:
            raise Refusal(400, "`baseModel` must be a string that is not empty")
        return base, None
    match adapter:
        case {"kind": "final", "jobId": str(job_id)}:
            job = find_job(job_id)
            path = folder.job(job_id) / ADAPTER
            here = path.is_dir()
            missing = f"the job {job_id} has no final adapter: it is {job.status}"
        case {"kind": "checkpoint", "jobId": str(job_id), "step": int(step)}:
            job = find_job(job_id)
            path = folder.job(job_id) / f"checkpoint-{step}"
            here = step in complete_checkpoints(folder.job(job_id))
            missing = f"the job {job_id} has no checkpoint of step {step}"
        case _:
            said = "{kind: 'final', jobId} or {kind: 'checkpoint', jobId, step}"
            raise Refusal(400, f"`adapter` must be {said}")
    if not here:
        raise Refusal(422, missing)
    return job.config["model"], path


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "`messages` must be a list that is not empty")
    for index, message in enumerate(messages):
        if fault := _message_fault(message):
            raise Refusal(400, f"`messages[{index}]`: {fault}")


def _message_fault(message: Any) -> str | None:
    match message:
        case {"role": "assistant", "tool_calls": [_, *_]}:
            content = message.get("content")
            return None if content is None or isinstance(content, str) else "bad `content`"
        case {"role": "tool", "content": str(), "tool_call_id": str()}:
            return None
        case {"role": "tool"}:
            return "a tool's message needs `content` and `tool_call_id`, both strings"
        case {"role": "system" | "user" | "assistant", "content": str()}:
            return None
        case {"role": "assistant"}:
            return "an assistant's message needs `content`, a string, or `tool_calls`"
        case {"role": "system" | "user"}:
            return "`content` must be a string"
    return "it must be an object whose `role` is system, user, assistant or tool"


def _check_numbers(body: Mapping[str, Any]) -> None:
    limits = {"temperature": (0, 100), "topP": (0, 1), "maxTokens": (1, 1_000_000)}
    for key, (least, most) in limits.items():
        value = body.get(key)
        if value is None:
            continue
        kind = int if key == "maxTokens" else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
            whole = "a whole number" if key == "maxTokens" else "a number"
            raise Refusal(400, f"`{key}` must be {whole} from {least} to {most}")
    if not isinstance(body.get("stream", True), bool):
        raise Refusal(400, "`stream` must be true or false")


def _check_constraints(body: Mapping[str, Any]) -> None:
    outputs, wanted = body.get("structuredOutputs"), body.get("responseFormat")
    if wanted is not None and not isinstance(wanted, dict):
        raise Refusal(400, "`responseFormat` must be an object")
    if outputs is None:
        return
    if not isinstance(outputs, dict):
        raise Refusal(400, "`structuredOutputs` must be an object")
    given = [name for name in _CONSTRAINTS if outputs.get(name) is not None]
    if len(given) != 1:
        one_of = ", ".join(_CONSTRAINTS)
        raise Refusal(400, f"`structuredOutputs` takes exactly one of {one_of}, not {len(given)}")
    if wanted is not None and wanted.get("type") != "text":
        raise Refusal(400, "give one of `structuredOutputs` and `responseFormat`, not both")
