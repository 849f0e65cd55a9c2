"""Asking a model for a page: what the backend says is passed on as it comes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from arkor.client.chat import stream_chat
from arkor.errors import ArkorError
from arkor.studio.answers import Json
from arkor.studio.bodies import read_object
from arkor.studio.reach import at_project, at_run
from arkor.studio.state import Studio, studio_of

__all__ = ["chat"]

_HEADERS = {"Cache-Control": "no-cache, no-transform"}


async def chat(request: Request) -> Response:
    """`POST /api/inference/chat[?run=ID]`: a chat's body as the backend takes it.

    It goes to the backend and the project of the run, without one to those of the open project.
    The answer is a stream of OpenAI's form, one `data:` line for each piece of text, `[DONE]` at
    its end, `{"error": ...}` where it breaks off; with `"stream": false` it is one object. A
    browser that goes away stops the model.
    """
    studio, run = studio_of(request), request.query_params.get("run")
    body = await read_object(request)
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise HTTPException(400, "Invalid chat body: messages: a list that is not empty is needed")
    if body.get("stream") is False:
        return await _whole(studio, body, run)
    pieces = _pieces(studio, body, run)
    try:
        first = await _unless_gone(request, pieces)
    except BaseException:
        await pieces.aclose()
        raise
    return StreamingResponse(_frames(first, pieces), 200, _HEADERS, "text/event-stream")


async def _whole(studio: Studio, body: Mapping[str, Any], run: str | None) -> Response:
    async with _session(studio, run) as session, session.connect() as api:
        return Json(dict((await api.chat(session.scope, body)).body))


async def _pieces(
    studio: Studio, body: Mapping[str, Any], run: str | None
) -> AsyncGenerator[str, None]:
    async with (
        _session(studio, run) as session,
        session.connect() as api,
        aclosing(stream_chat(api, session.scope, body)) as deltas,
    ):
        async for delta in deltas:
            yield delta


def _session(studio: Studio, run: str | None) -> Any:
    return at_project(studio) if run is None else at_run(studio, run)


async def _unless_gone(request: Request, pieces: AsyncGenerator[str, None]) -> str | None:
    """The first piece, `None` if there is none; ends at once if the browser goes away before.

    Only what fails later has to be told inside of the stream.
    """
    first = asyncio.ensure_future(anext(pieces, None))
    gone = asyncio.ensure_future(request.receive())  # the body is read: what comes is the end
    try:
        await asyncio.wait({first, gone}, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            return first.result()
        raise HTTPException(499, "the browser went away before the model answered")
    finally:
        for task in (first, gone):
            task.cancel()
        await asyncio.wait({first, gone})


async def _frames(first: str | None, pieces: AsyncGenerator[str, None]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        try:
            if first is not None:
                yield _delta(first)
            async for piece in pieces:
                yield _delta(piece)
        except ArkorError as error:
            yield _data(json.dumps({"error": str(error)}))
        else:
            yield _data("[DONE]")


def _delta(text: str) -> bytes:
    return _data(json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}))


def _data(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
