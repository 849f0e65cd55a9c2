"""The routes of deployments and their keys."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from arkor.backend.chat_request import parse_question
from arkor.backend.deployments import Endpoint
from arkor.backend.gate import PUBLIC
from arkor.backend.jobs import Project, SlugTakenError
from arkor.backend.refusals import Refusal, read_json
from arkor.backend.service import Service
from arkor.core.deployment_rules import check_label
from arkor.core.deployments import DeploymentChanges, NewDeployment
from arkor.core.targets import DeploymentTarget
from arkor.errors import ConfigError

__all__ = ["EndpointRoutes"]

RESERVED: Final = frozenset(
    {"admin", "api", "app", "auth", "cdn", "console", "dashboard", "docs", "mail", "status", "www"}
)


class EndpointRoutes:
    """Making, showing, changing and deleting endpoints, and issuing and revoking their keys."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        place = "/v1/endpoints"
        one, keys = f"{place}/{{deployment_id}}", f"{place}/{{deployment_id}}/keys"
        return [
            Route(place, self.list, methods=["GET"]),
            Route(place, self.create, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.change, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(keys, self.keys, methods=["GET"]),
            Route(keys, self.issue, methods=["POST"]),
            Route(f"{keys}/{{key_id}}", self.revoke, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /v1/endpoints`, newest first."""
        found = self._service.deployments.of_project(self._service.project(request))
        return JSONResponse({"deployments": [_shown(request, each) for each in found]})

    async def create(self, request: Request) -> Response:
        """`POST /v1/endpoints`: 409 if the slug is taken, by an endpoint of any project."""
        project = self._service.project(request)
        try:
            new = NewDeployment.read(await read_json(request))
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        if new.slug in RESERVED:
            raise Refusal(400, f"slug: {new.slug!r} is reserved; take another one")
        self._check(new.target, project)
        try:
            made = self._service.deployments.create(new, project)
        except SlugTakenError as error:
            raise Refusal(409, str(error)) from error
        return JSONResponse({"deployment": _shown(request, made)}, 201)

    async def get(self, request: Request) -> Response:
        """`GET /v1/endpoints/ID`."""
        return JSONResponse({"deployment": _shown(request, self._endpoint(request))})

    async def change(self, request: Request) -> Response:
        """`PATCH /v1/endpoints/ID`: what the body leaves out stays."""
        self._endpoint(request)
        try:
            changes = DeploymentChanges.read(await read_json(request))
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        if changes.target is not None:
            self._check(changes.target, self._service.project(request))
        changed = self._service.deployments.change(self._endpoint(request), changes)
        return JSONResponse({"deployment": _shown(request, changed)})

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/endpoints/ID`: 204."""
        self._service.deployments.delete(self._endpoint(request))
        return Response(status_code=204)

    async def keys(self, request: Request) -> Response:
        """`GET /v1/endpoints/ID/keys`, oldest first, revoked ones too."""
        keys = [stored.key.to_wire() for stored in self._endpoint(request).keys]
        return JSONResponse({"keys": keys})

    async def issue(self, request: Request) -> Response:
        """`POST /v1/endpoints/ID/keys`: 201 with the key's text, which nothing says again."""
        self._endpoint(request)
        try:
            label = check_label((await read_json(request)).get("label"))
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        issued = self._service.deployments.issue(self._endpoint(request), label)
        return JSONResponse({"key": issued.to_wire()}, 201, {"Cache-Control": "no-store"})

    async def revoke(self, request: Request) -> Response:
        """`DELETE /v1/endpoints/ID/keys/KEY`: 204; it opens nothing from now on."""
        endpoint, key_id = self._endpoint(request), request.path_params["key_id"]
        stored = endpoint.key(key_id)
        if stored is None:
            slug = endpoint.deployment.slug
            raise Refusal(404, f"the endpoint {slug!r} has no key with the id {key_id!r}")
        self._service.deployments.revoke(endpoint, stored)
        return Response(status_code=204)

    def _endpoint(self, request: Request) -> Endpoint:
        """What the path names. Asked for again behind each `await`: it may be another by then."""
        project, wanted = self._service.project(request), request.path_params["deployment_id"]
        found = self._service.deployments.get(wanted, project)
        if found is None:
            raise Refusal(
                404, f"there is no endpoint with the id {wanted!r} in the project {project.slug!r}"
            )
        return found

    def _check(self, target: DeploymentTarget, project: Project) -> None:
        """`Refusal` 404 or 422 for an adapter that is not there: nobody could be answered."""
        service = self._service
        parse_question(
            target.to_wire(), service.folder, lambda job_id: service.job_of(project, job_id)
        )


def _shown(request: Request, endpoint: Endpoint) -> Mapping[str, Any]:
    deployment = endpoint.deployment
    url = f"{request.base_url}{PUBLIC.removeprefix('/')}{deployment.slug}/v1"
    return replace(deployment, extra={"baseUrl": url}).to_wire()
