"""What a request asks with: its JSON body, its numbers."""

import json
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["number_of", "read_object"]

LARGEST: Final = 1_000_000
"""Bytes of a body."""


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises `HTTPException`: 415 for another type, which a form of another site could send, 413 for
    more than a megabyte, 400 for what is no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the body must be application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise HTTPException(413, "the body is larger than a megabyte")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "Invalid JSON body") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return value


def number_of(request: Request, name: str, default: int, *, most: int | None = None) -> int:
    """The whole number of a query's parameter, from 0, and no more than `most`.

    Raises `HTTPException` (400) for anything else.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal() and len(given) < 19):
        raise HTTPException(400, f"{name} must be a whole number")
    return int(given) if most is None else min(int(given), most)
