"""Deployments and their keys for Studio's pages: the backend's own, with the names of runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
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
from arkor.studio.state import Studio, studio_of

__all__ = ["routes"]

T = TypeVar("T")


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


async def deployments(request: Request) -> Json:
    """The project's deployments. With `scopeMissing` there is nothing yet that could have one."""
    studio = studio_of(request)
    if (missing := await asyncio.to_thread(_missing, studio)) is not None:
        return Json({"deployments": [], "scopeMissing": True, **missing})
    async with _existing(studio) as (api, scope):
        found = await api.list_deployments(scope)
    return Json({"deployments": [await _shape(studio, each) for each in found]})


async def create(request: Request) -> Json:
    """Make a deployment; a project that is missing, of an identity that may make one, too."""
    studio, body = studio_of(request), await read_object(request)
    # Looked at before anything is made for it.
    new = _read(NewDeployment.read, body, "Invalid deployment create body")
    async with at_project(studio) as session, session.connect() as api:
        made = await api.create_deployment(session.scope, new)
    return Json({"deployment": await _shape(studio, made)}, 201)


async def deployment(request: Request) -> Json:
    """One deployment."""
    studio = studio_of(request)
    async with _existing(studio) as (api, scope):
        found = await api.get_deployment(scope, request.path_params["id"])
    return Json({"deployment": await _shape(studio, found)})


async def change(request: Request) -> Json:
    """Change what a deployment answers with, who may ask it, whether it answers, what it keeps."""
    studio, body = studio_of(request), await read_object(request)
    changes = _read(DeploymentChanges.read, body, "Invalid deployment update body")
    async with _existing(studio) as (api, scope):
        changed = await api.update_deployment(scope, request.path_params["id"], changes)
    return Json({"deployment": await _shape(studio, changed)})


async def delete(request: Request) -> Json:
    """Delete a deployment with its keys."""
    async with _existing(studio_of(request)) as (api, scope):
        await api.delete_deployment(scope, request.path_params["id"])
    return Json({})


async def list_keys(request: Request) -> Json:
    """The keys of a deployment, without their plaintext."""
    async with _existing(studio_of(request)) as (api, scope):
        keys = await api.list_deployment_keys(scope, request.path_params["id"])
    return Json({"keys": [key.to_wire() for key in keys]})


async def issue(request: Request) -> Json:
    """Issue a key: the one answer that has its plaintext."""
    body = await read_object(request)
    label = _read(check_label, body.get("label"), "Invalid key create body")
    async with _existing(studio_of(request)) as (api, scope):
        key = await api.create_deployment_key(scope, request.path_params["id"], label)
    return Json({"key": key.to_wire()}, 201)


async def revoke(request: Request) -> Json:
    """Revoke a key."""
    id, key = request.path_params["id"], request.path_params["key"]  # noqa: A001 (as in the route)
    async with _existing(studio_of(request)) as (api, scope):
        await api.revoke_deployment_key(scope, id, key)
    return Json({})


async def start_backend(request: Request) -> Json:
    """Start the embedded backend, if it is the project's and does not run."""
    studio = studio_of(request)
    if await asyncio.to_thread(backend_of, studio) != LOCAL:
        raise HTTPException(409, "the project's backend is not the embedded one")
    await asyncio.to_thread(ensure_backend, studio.home)
    return Json({})


@asynccontextmanager
async def _existing(studio: Studio) -> AsyncIterator[tuple[CloudApiClient, Scope]]:
    """The backend, and the project there; nothing is made for whoever only looks.

    Raises `HTTPException` 404 if there is no project yet, `CredentialsError` if nobody is
    signed in, and what `open_session` does.
    """
    if (missing := await asyncio.to_thread(_missing, studio)) is not None:
        raise HTTPException(404, missing["why"])
    async with at_project(studio) as session, session.connect() as api:
        yield api, session.scope


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
