"""The route of chat: a question to a base model or to a trained adapter."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from arkor.backend.chat_process import Answer
from arkor.backend.chat_request import parse_question
from arkor.backend.openai import Completion
from arkor.backend.refusals import Refusal, read_json
from arkor.backend.service import Service

__all__ = ["ChatRoutes"]

T = TypeVar("T")

_STREAM_HEADERS: Final = {"Cache-Control": "no-cache, no-transform"}


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
        completion = Completion(question["model"])
        answers = service.chat.ask(question)
        try:
            first = _checked(await _unless_gone(request, anext(answers)))
            if stream:
                frames = completion.frames(first, answers)
                return StreamingResponse(frames, 200, _STREAM_HEADERS, "text/event-stream")
            last = await _unless_gone(request, _last(first, answers))
        except BaseException:
            await answers.aclose()
            raise
        return JSONResponse(completion.whole(_checked(last)["done"]))


async def _last(line: Answer, rest: AsyncGenerator[Answer, None]) -> Answer:
    async with aclosing(rest):
        while "delta" in line:
            line = await anext(rest)
    return line


def _checked(line: Answer) -> Answer:
    if error := line.get("error"):
        message, code = str(error["message"]), error.get("code")
        status = int(error.get("status", 500))
        raise Refusal(status, code, message) if code else Refusal(status, message)
    return line


async def _unless_gone(request: Request, waiting: Coroutine[Any, Any, T]) -> T:
    """What `waiting` returns, unless the client hangs up first: nobody computes for nobody."""
    task = asyncio.ensure_future(waiting)
    gone = asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refusal(499, "the client has gone")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
