"""Answers that say no, always as JSON: `{"error": ...}`."""

import errno
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Never

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from arkor.errors import ArkorError

__all__ = ["Refusal", "handlers", "plain", "read_json"]

log = logging.getLogger("arkor.backend")

LONGEST_BODY: Final = 16 * 1024 * 1024


class Refusal(Exception):
    """A status and the body's `error`: a sentence, or a code with the sentence as `message`."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or error)
        self.status = status
        self.headers = headers
        self.body = {"error": error} if message is None else {"error": error, "message": message}


async def read_json(request: Request) -> dict[str, Any]:
    """The object in a request's body. `Refusal` 400 if it holds none, 413 above 16 MiB."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            raise Refusal(413, f"the body is longer than {LONGEST_BODY} bytes")
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in body:
            # Half of a surrogate pair is a string in JSON, but no text that can be stored.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refusal(400, "the body must be a JSON object")
    return value


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def plain(refusal: Refusal) -> Response:
    """A refusal in the form of this API."""
    return JSONResponse(refusal.body, refusal.status, refusal.headers)


def handlers(form: Callable[[Refusal], Response]) -> dict[Any, Any]:
    """What each kind of exception is answered with, as `form` puts it."""
    explained: dict[type[Exception], Callable[[Request, Any], Refusal]] = {
        Refusal: _itself,
        HTTPException: _not_routed,
        ArkorError: _cannot,
        OSError: _cannot,
        Exception: _broken,
    }
    return {
        **{kind: _handler(explain, form) for kind, explain in explained.items()},
        ClientDisconnect: _gone,
    }


def _handler(
    explain: Callable[[Request, Any], Refusal], form: Callable[[Refusal], Response]
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return form(explain(request, error))

    return handle


def _itself(request: Request, error: Refusal) -> Refusal:
    return error


def _not_routed(request: Request, error: HTTPException) -> Refusal:
    said = f"{request.method} {request.url.path}: {error.detail}"
    return Refusal(error.status_code, said, headers=error.headers)


def _cannot(request: Request, error: ArkorError | OSError) -> Refusal:
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Refusal(507 if full else 503, f"the backend cannot do it: {error}")


def _broken(request: Request, error: Exception) -> Refusal:
    # Starlette raises the error again behind this answer, so that its traceback is logged.
    return Refusal(500, "the backend failed; its log says how")


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody hears it
