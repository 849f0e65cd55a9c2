"""An answer of the chat process as an HTTP response: whole, or as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from arkor.backend.chat_process import Answer, ChatProcess
from arkor.backend.openai import Completion
from arkor.backend.refusals import Refusal

__all__ = ["reply"]

T = TypeVar("T")

_STREAM_HEADERS: Final = {"Cache-Control": "no-cache, no-transform"}


async def reply(
    request: Request, chat: ChatProcess, question: Mapping[str, Any], *, stream: bool
) -> Response:
    """Ask, and answer in OpenAI's form. What fails before the first word is a `Refusal`.

    If the client hangs up the question is cancelled.
    """
    completion = Completion(question["model"])
    answers = chat.ask(question)
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
