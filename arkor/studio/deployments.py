"""Deployments and their keys for Studio's pages: the backend's own, with the names of runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.client.api import CloudApiClient
from arkor.core.deployment_rules import check_label
from arkor.core.deployments import Deployment, DeploymentChanges, NewDeployment
from arkor.core.wire import Scope
from arkor.errors import ConfigError, CredentialsError, NoSuchRunError
from arkor.runner.identity import current_identity
from arkor.runner.local import LOCAL, ensure_backend
from arkor.studio.answers import Json
from arkor.studio.bodies import read_object
from arkor.studio.reach import at_project, backend_of, is_there
from arkor.studio.refusals import refused
from arkor.studio.state import Studio, studio_of

__all__ = ["routes"]

T = TypeVar("T")

Answer = Callable[[Request, CloudApiClient, Scope], Awaitable[Response]]


def routes() -> list[Route]:
    """The routes under `/api/deployments`, and the one that starts the embedded backend."""
    one, keys = "/api/deployments/{id}", "/api/deployments/{id}/keys"
    return [
        Route("/api/deployments", deployments),
        Route("/api/deployments", create, methods=["POST"]),
        Route(one, deployment),
        Route(one, change, methods=["PATCH"]),
        Route(one, delete, methods=["DELETE"]),
        Route(keys, list_keys),
        Route(keys, issue, methods=["POST"]),
        Route(f"{keys}/{{key}}", revoke, methods=["DELETE"]),
        Route("/api/backend/start", start_backend, methods=["POST"]),
    ]


def _of_the_project(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Answers about what the project has at its backend; nothing is made for whoever only looks.

    Without a project the answer is 404. Raises `CredentialsError` if nobody is signed in, and
    what `open_session` does.
    """

    @wraps(answer)
    async def answering(request: Request) -> Response:
        studio = studio_of(request)
        if (missing := await asyncio.to_thread(_missing, studio)) is not None:
            return refused(request, 404, missing["why"])
        async with at_project(studio) as session, session.connect() as api:
            return await answer(request, api, session.scope)

    return answering


async def deployments(request: Request) -> Json:
    """The project's deployments. With `scopeMissing` there is nothing yet that could have one."""
    studio = studio_of(request)
    if (missing := await asyncio.to_thread(_missing, studio)) is not None:
        return Json({"deployments": [], "scopeMissing": True, **missing})
    async with at_project(studio) as session, session.connect() as api:
        found = await api.list_deployments(session.scope)
    return Json({"deployments": [await _shape(studio, each) for each in found]})


async def create(request: Request) -> Json:
    """Make a deployment; a project that is missing, of an identity that may make one, too."""
    studio, body = studio_of(request), await read_object(request)
    # Looked at before anything is made for it.
    new = _read(NewDeployment.read, body, "Invalid deployment create body")
    async with at_project(studio) as session, session.connect() as api:
        made = await api.create_deployment(session.scope, new)
    return Json({"deployment": await _shape(studio, made)}, 201)


@_of_the_project
async def deployment(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """One deployment."""
    found = await api.get_deployment(scope, request.path_params["id"])
    return Json({"deployment": await _shape(studio_of(request), found)})


@_of_the_project
async def change(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """Change what a deployment answers with, who may ask it, whether it answers, what it keeps."""
    body = await read_object(request)
    changes = _read(DeploymentChanges.read, body, "Invalid deployment update body")
    changed = await api.update_deployment(scope, request.path_params["id"], changes)
    return Json({"deployment": await _shape(studio_of(request), changed)})


@_of_the_project
async def delete(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """Delete a deployment with its keys."""
    await api.delete_deployment(scope, request.path_params["id"])
    return Json({})


@_of_the_project
async def list_keys(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """The keys of a deployment, without their plaintext."""
    keys = await api.list_deployment_keys(scope, request.path_params["id"])
    return Json({"keys": [key.to_wire() for key in keys]})


@_of_the_project
async def issue(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """Issue a key: the one answer that has its plaintext."""
    body = await read_object(request)
    label = _read(check_label, body.get("label"), "Invalid key create body")
    key = await api.create_deployment_key(scope, request.path_params["id"], label)
    return Json({"key": key.to_wire()}, 201)


@_of_the_project
async def revoke(request: Request, api: CloudApiClient, scope: Scope) -> Json:
    """Revoke a key."""
    of, key = request.path_params["id"], request.path_params["key"]
    await api.revoke_deployment_key(scope, of, key)
    return Json({})


async def start_backend(request: Request) -> Json:
    """Start the embedded backend, if it is the project's and does not run."""
    studio = studio_of(request)
    if await asyncio.to_thread(backend_of, studio) != LOCAL:
        raise HTTPException(409, "the project's backend is not the embedded one")
    await asyncio.to_thread(ensure_backend, studio.home)
    return Json({})


def _missing(studio: Studio) -> dict[str, str] | None:
    """What stands in the way of asking for the project's deployments; `None` for nothing.

    `backend` tells where they would be: `local`, a URL, or nothing for the cloud's default.
    """
    backend = backend_of(studio)
    if not is_there(studio):
        why = (
            "the embedded backend is not running, and its endpoints answer only while it does"
            if backend == LOCAL
            else f"{studio.project_root} is linked to no project yet (there is no "
            ".arkor/state.json): its first run makes one, or `arkor link ORG/PROJECT`"
        )
        return {"why": why, "backend": backend or ""}
    if backend != LOCAL and current_identity(studio.home) is None:
        raise CredentialsError("nobody is signed in here: `arkor login`, or set ARKOR_TOKEN")
    return None


def _read(read: Callable[[Any], T], given: Any, what: str) -> T:
    try:
        return read(given)
    except ConfigError as error:
        raise HTTPException(400, f"{what}: {error}") from error


async def _shape(studio: Studio, found: Deployment) -> dict[str, Any]:
    """A deployment, where it is asked, and the run that trained its model, if it is known here."""
    adapter = found.target.adapter
    run = None
    if adapter is not None:
        run = await asyncio.to_thread(_run_of, studio, adapter.job_id)
    where = {"url": found.url, "baseUrl": found.base_url, "backend": backend_of(studio)}
    return {**found.to_wire(), **where, "run": run}


def _run_of(studio: Studio, job_id: str) -> Mapping[str, str] | None:
    try:
        row = studio.journal.row(job_id)
    except NoSuchRunError:
        return None
    return {"runId": row.run_id, "name": row.name}
