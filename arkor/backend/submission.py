"""From what a client asks for to an accepted job, and its order in the job's folder.

The order, `job.json`, is what the training process reads. It alone holds the token of a dataset,
and no longer than the job lives; whatever clients or the database see shows `***` instead.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arkor.backend.folder import Folder, write_private
from arkor.backend.jobs import Jobs, Project, new_job_id
from arkor.backend.refusals import Refusal
from arkor.core.wire import Job

__all__ = ["accept", "drop_unknown", "forget_token"]

log = logging.getLogger("arkor.backend")

HIDDEN = "***"

_ORDER = "job.json"


def accept(
    body: Mapping[str, Any], *, key: str | None, project: Project, jobs: Jobs, folder: Folder
) -> tuple[Job, bool]:
    """The job for a request, and whether it is a new one.

    A request with an idempotency key that was used before gets the job of that time; `Refusal`
    409 if it was another request, 400 if the body is no job. Nothing is left of a job that could
    not be stored (`ArkorError`, `OSError`).
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
    folder.create_job(job_id)
    try:
        _write_order(folder, job_id, name, config)
        return jobs.create(job_id, project, name, shown, key), True
    except BaseException:
        shutil.rmtree(folder.job(job_id))
        raise


def drop_unknown(folder: Folder, jobs: Jobs) -> None:
    """Remove the orders of jobs that were never accepted: the server was killed before that.

    A folder with more than an order in it stays, whatever the database has lost.
    """
    for path in folder.jobs.glob("*/"):
        try:
            if {each.name for each in path.iterdir()} <= {_ORDER} and jobs.get(path.name) is None:
                shutil.rmtree(path)
        except OSError as error:
            log.error("%s is of no job and cannot be removed: %s", path, error)


def forget_token(folder: Folder, job: Job) -> None:
    """Take the dataset's token out of the order of a job that has ended, if it holds one.

    If that cannot be done now the log says so, and the next server of the folder tries again.
    """
    order = folder.job(job.id) / _ORDER
    if "token" not in job.config.get("datasetSource", {}) or not order.exists():
        return
    try:
        if not _holds(order, job.config):
            _write_order(folder, job.id, job.name, job.config)
    except OSError as error:
        log.error("job %s: its dataset's token is still in %s: %s", job.id, order, error)


def _holds(order: Path, config: Mapping[str, Any]) -> bool:
    try:
        found = json.loads(order.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("config") == config


def _write_order(folder: Folder, job_id: str, name: str, config: Mapping[str, Any]) -> None:
    order = {"id": job_id, "name": name, "config": dict(config), "home": str(folder.path)}
    write_private(folder.job(job_id) / _ORDER, json.dumps(order, indent=2).encode())


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
