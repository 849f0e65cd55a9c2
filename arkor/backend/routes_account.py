"""The routes of identity and projects."""

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from arkor.backend.jobs import ORG, SlugTakenError
from arkor.backend.refusals import Refusal, read_json
from arkor.backend.service import Service

__all__ = ["AccountRoutes"]

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_ORG: Final = {"id": ORG, "slug": ORG, "name": "This machine"}


class AccountRoutes:
    """Who one is here, which is always the machine's user, and the projects."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        return [
            Route("/healthz", self.health, methods=["GET"]),
            Route("/v1/auth/anonymous", self.anonymous, methods=["POST"]),
            Route("/v1/auth/cli/config", self.cli_config, methods=["GET"]),
            Route("/v1/me", self.me, methods=["GET"]),
            Route("/v1/projects", self.projects, methods=["GET"]),
            Route("/v1/projects", self.create_project, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """`GET /healthz`: whether the backend answers."""
        return JSONResponse({"status": "ok"})

    async def anonymous(self, request: Request) -> Response:
        """`POST /v1/auth/anonymous`: the one identity there is, for all who may read the token."""
        kind = (await read_json(request)).get("kind", "cli")
        if kind not in ("cli", "web"):
            raise Refusal(400, "`kind` must be 'cli' or 'web'")
        token = self._service.token
        identity = {"token": token, "anonymousId": ORG, "kind": kind, "personalOrg": _ORG}
        return JSONResponse(identity)

    async def cli_config(self, request: Request) -> Response:
        """`GET /v1/auth/cli/config`: there is no OAuth here."""
        absent: dict[str, Any] = dict.fromkeys(("auth0Domain", "clientId", "audience"))
        return JSONResponse(absent | {"callbackPorts": []})

    async def me(self, request: Request) -> Response:
        """`GET /v1/me`."""
        return JSONResponse({"user": {"id": ORG, "email": None}, "orgs": [_ORG]})

    async def projects(self, request: Request) -> Response:
        """`GET /v1/projects`, oldest first."""
        self._service.check_org(request)
        projects = [project.to_wire() for project in self._service.jobs.projects()]
        return JSONResponse({"org": _ORG, "projects": projects})

    async def create_project(self, request: Request) -> Response:
        """`POST /v1/projects`: 409 if another one has the slug."""
        self._service.check_org(request)
        body = await read_json(request)
        name, slug = body.get("name"), body.get("slug")
        if not isinstance(name, str) or not name.strip():
            raise Refusal(400, "`name` must be a string that is not empty")
        if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
            raise Refusal(400, "`slug` must be 1 to 63 of a-z, 0-9 and '-', and not begin with '-'")
        try:
            project = self._service.jobs.create_project(name, slug)
        except SlugTakenError as error:
            raise Refusal(409, str(error)) from error
        return JSONResponse({"project": project.to_wire()}, 201)
