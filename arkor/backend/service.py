"""What the routes stand on: jobs, endpoints, queue, chat process, folder and settings."""

import sys
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from arkor.backend.chat_process import ChatProcess
from arkor.backend.deployments import Deployments
from arkor.backend.folder import Folder
from arkor.backend.job_queue import JobQueue
from arkor.backend.jobs import ORG, Jobs, Project
from arkor.backend.refusals import Refusal
from arkor.backend.stream import Bell
from arkor.core.wire import Job

__all__ = ["BackendOptions", "Service"]

_PYTHON: Final = (sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """The backend's settings. All durations are in seconds.

    `train_command` is started with a job's folder as its last argument; `slots` is how many
    jobs train at once; `grace` how long a training process may take to save and end.
    """

    train_command: tuple[str, ...] = (*_PYTHON, "arkor.backend.train", "--watch-stdin")
    chat_command: tuple[str, ...] = (*_PYTHON, "arkor.backend.chat")
    slots: int = 1
    grace: float = 60.0
    ping_interval: float = 15.0
    chat_idle_timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one backend."""

    folder: Folder
    token: str
    options: BackendOptions
    jobs: Jobs
    deployments: Deployments
    bell: Bell
    queue: JobQueue
    chat: ChatProcess

    def project(self, request: Request) -> Project:
        """The project of the request's query. `Refusal` 404 if there is none."""
        self.check_org(request)
        slug = request.query_params.get("projectSlug", "")
        for project in self.jobs.projects():
            if project.slug == slug:
                return project
        raise Refusal(404, f"there is no project {slug!r} in the organisation {ORG!r}")

    def job(self, request: Request) -> Job:
        """The job of the request's path, within its project. `Refusal` 404 if there is none."""
        return self.job_of(self.project(request), request.path_params["job_id"])

    def job_of(self, project: Project, job_id: str) -> Job:
        """A job of the project. `Refusal` 404 if it has none with this id."""
        job = self.jobs.get(job_id, project)
        if job is None:
            raise Refusal(404, f"there is no job {job_id!r} in the project {project.slug!r}")
        return job

    def check_org(self, request: Request) -> None:
        """`Refusal` 404 unless the query names the one organisation there is."""
        org = request.query_params.get("orgSlug", "")
        if org != ORG:
            raise Refusal(404, f"there is no organisation {org!r} here, only {ORG!r}")
