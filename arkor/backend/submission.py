"""From what a client asks for to an accepted job, and its order in the job's folder.

The order, `job.json`, is what the training process reads. It alone holds the token of a dataset,
and no longer than the job lives; whatever clients or the database see shows `***` instead.
"""

import json
from collections.abc import Mapping
from typing import Any

from arkor.backend.folder import Folder, write_private
from arkor.backend.jobs import Jobs, Project, new_job_id
from arkor.backend.refusals import Refusal
from arkor.core.wire import Job

__all__ = ["accept", "forget_token"]

HIDDEN = "***"


def accept(
    body: Mapping[str, Any], *, key: str | None, project: Project, jobs: Jobs, folder: Folder
) -> tuple[Job, bool]:
    """The job for a request, and whether it is a new one.

    A request with an idempotency key that was used before gets the job of that time; `Refusal`
    409 if it was another request, 400 if the body is no job.
    """
    name, config = _checked(body)
    shown = _without_token(config)
    if key is not None and (earlier := jobs.by_key(key, project)):
        if (earlier.name, earlier.config) != (name, shown):
            raise Refusal(
                409,
                "idempotency_key_reused",
                f"the job {earlier.id} was submitted under this Idempotency-Key with another "
                "name or config; use a new key for a new job",
            )
        return earlier, False
    job_id = new_job_id()
    folder.job(job_id).mkdir(mode=0o700)
    _write_order(folder, job_id, name, config)
    return jobs.create(job_id, project, name, shown, key), True


def forget_token(folder: Folder, job: Job) -> None:
    """Take the dataset's token out of the order of a job that has ended, if it holds one."""
    order = folder.job(job.id) / "job.json"
    if "token" not in job.config["datasetSource"] or not order.exists():
        return
    if json.loads(order.read_bytes())["config"] != job.config:
        _write_order(folder, job.id, job.name, job.config)


def _write_order(folder: Folder, job_id: str, name: str, config: Mapping[str, Any]) -> None:
    order = {"id": job_id, "name": name, "config": dict(config), "home": str(folder.path)}
    write_private(folder.job(job_id) / "job.json", json.dumps(order, indent=2).encode())


def _checked(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name, config = body.get("name"), body.get("config")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(400, "`name` must be a string that is not empty")
    if not isinstance(config, dict):
        raise Refusal(400, "`config` must be an object")
    if not isinstance(config.get("model"), str) or not config["model"]:
        raise Refusal(400, "`config.model` must be a string that is not empty")
    if not isinstance(config.get("datasetSource"), dict):
        raise Refusal(400, "`config.datasetSource` must be an object")
    return name, config


def _without_token(config: Mapping[str, Any]) -> dict[str, Any]:
    source = config["datasetSource"]
    if "token" not in source:
        return dict(config)
    return {**config, "datasetSource": {**source, "token": HIDDEN}}
