"""Answers that say no, always as JSON: `{"error": ...}`."""

import errno
import json
import logging
import math
from typing import Any, Final, Never

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from arkor.errors import ArkorError

__all__ = ["HANDLERS", "Refusal", "read_json"]

log = logging.getLogger("arkor.backend")

LONGEST_BODY: Final = 16 * 1024 * 1024


class Refusal(Exception):
    """A status and the body's `error`: a sentence, or a code with the sentence as `message`."""

    def __init__(self, status: int, error: str, message: str | None = None) -> None:
        super().__init__(message or error)
        self.status = status
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


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body, error.status)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse({"error": said}, error.status_code, error.headers)


async def _cannot(request: Request, error: Exception) -> Response:
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return JSONResponse({"error": f"the backend cannot do it: {error}"}, 507 if full else 503)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody hears it


async def _broken(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer, so that its traceback is logged.
    return JSONResponse({"error": "the backend failed; its log says how"}, 500)


HANDLERS: Final[dict[Any, Any]] = {
    Refusal: _refused,
    HTTPException: _not_routed,
    ArkorError: _cannot,
    OSError: _cannot,
    ClientDisconnect: _gone,
    Exception: _broken,
}
"""What each kind of exception is answered with."""
