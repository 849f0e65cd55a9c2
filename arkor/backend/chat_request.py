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
    "messages",
    "temperature",
    "topP",
    "maxTokens",
    "stop",
    "tools",
    "toolChoice",
    "responseFormat",
    "structuredOutputs",
)


def parse_question(
    body: Mapping[str, Any], folder: Folder, find_job: Callable[[str], Job]
) -> dict[str, Any]:
    """The question of a request's body, for the model and the adapter that it names.

    What takes the folder and the jobs is found out here, all else by the chat process. `Refusal`
    400 for a body that names neither or both, 422 for an adapter that does not exist (yet), and
    what `find_job` raises for a job that does not.
    """
    model, adapter = _model(body, folder, find_job)
    question = {key: body[key] for key in _PASSED_ON if body.get(key) is not None}
    return question | {
        "model": model,
        "adapter": None if adapter is None else str(adapter),
        "home": str(folder.path),
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
