"""The route of chat: a question to a base model or to a trained adapter."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.backend.chat_request import parse_question
from arkor.backend.refusals import Refusal, read_json
from arkor.backend.reply import reply
from arkor.backend.service import Service

__all__ = ["ChatRoutes"]


class ChatRoutes:
    """Answers in OpenAI's form, whole or as they come."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        return [Route("/v1/inference/chat", self.chat, methods=["POST"])]

    async def chat(self, request: Request) -> Response:
        """`POST /v1/inference/chat`. What fails before the first word has a status of its own."""
        service = self._service
        project = service.project(request)
        body = await read_json(request)
        stream = body.get("stream", True)
        if not isinstance(stream, bool):
            raise Refusal(400, "`stream` must be true or false")
        question = parse_question(
            body, service.folder, lambda job_id: service.job_of(project, job_id)
        )
        return await reply(request, service.chat, question, stream=stream)
