"""The URL of an endpoint: chat completions as any OpenAI client asks for them."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from arkor.backend.chat_request import parse_question
from arkor.backend.deployments import Endpoint
from arkor.backend.gate import PUBLIC
from arkor.backend.openai_request import chat_body, refused, wants_stream
from arkor.backend.refusals import Refusal, handlers, read_json
from arkor.backend.reply import reply
from arkor.backend.service import Service
from arkor.core.wire import Job

__all__ = ["PublicRoutes"]


class PublicRoutes:
    """What the holders of a key may do; the gate asks nothing of them but that they are here."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Mount]:
        """The routes, for the app; in an app of their own, whose refusals have OpenAI's form."""
        chat = Route("/{slug}/v1/chat/completions", self.chat, methods=["POST"])
        app = Starlette(routes=[chat], exception_handlers=handlers(refused))
        return [Mount(PUBLIC.rstrip("/"), app)]

    async def chat(self, request: Request) -> Response:
        """`POST .../SLUG/v1/chat/completions`: 404 if it is disabled, 401 without a key."""
        endpoint = self._open(request)
        body = await read_json(request)
        stream = wants_stream(body)
        asked = chat_body(body, endpoint.deployment.target.to_wire())
        question = parse_question(asked, self._service.folder, self._job)
        return await reply(request, self._service.chat, question, stream=stream)

    def _open(self, request: Request) -> Endpoint:
        slug = request.path_params["slug"]
        endpoint = self._service.deployments.by_slug(slug)
        if endpoint is None or not endpoint.deployment.enabled:
            raise Refusal(404, "endpoint_not_found", f"there is no endpoint {slug!r} in use here")
        if endpoint.deployment.auth_mode != "none":
            self._check_key(request, endpoint)
        return endpoint

    def _check_key(self, request: Request, endpoint: Endpoint) -> None:
        for text in _keys(request):
            if stored := endpoint.opened_by(text):
                self._service.deployments.note_use(endpoint, stored)
                return
        raise Refusal(
            401,
            "invalid_api_key",
            "the key is missing, revoked or another endpoint's; send one as "
            "`Authorization: Bearer KEY` or as `x-api-key`",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _job(self, job_id: str) -> Job:
        job = self._service.jobs.get(job_id)
        if job is None:
            raise Refusal(422, f"there is no job {job_id!r}, whose adapter this endpoint has")
        return job


def _keys(request: Request) -> list[str]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [text for text in (bearer, request.headers.get("x-api-key", "")) if text]
