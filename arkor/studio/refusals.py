"""What went wrong, said to a page or to a program: one sentence and the right status."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from arkor import errors
from arkor.studio.headers import make_safe
from arkor.studio.pages import render

__all__ = ["HANDLERS", "refused"]

STATUSES: Final[Mapping[type[errors.ArkorError], int]] = {
    errors.RunPrunedError: 410,
    errors.NoSuchRunError: 404,
    errors.RunOwnedError: 409,
    errors.ProjectStateError: 409,
    errors.ConfigError: 400,
    errors.EntryError: 400,
    errors.CredentialsError: 401,
    errors.BackendUnreachableError: 502,
    errors.ProtocolError: 502,
}
"""The status of each kind of error, the particular ones first."""


def refused(request: Request, status: int, sentence: str) -> Response:
    """The answer to a request that fails: JSON to a program, a page to a person."""
    if _for_program(request):
        return JSONResponse({"error": sentence}, status)
    return render(request, "error.html", status=status, code=status, sentence=sentence)


def _for_program(request: Request) -> bool:
    return not request.app.state.pages or request.url.path.startswith("/api/")


def _arkor_error(request: Request, error: Exception) -> Response:
    if isinstance(error, errors.CloudApiError):
        # What a backend says to our token is not what we say to the browser's cookie.
        return refused(request, error.status if error.status >= 400 else 502, str(error))
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    return refused(request, status, str(error))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = "there is nothing at this address" if error.status_code == 404 else error.detail
    return refused(request, error.status_code, said)


def _unexpected(request: Request, error: Exception) -> Response:
    said = "Studio failed at this; what happened is in the output of `arkor dev`"
    answer = refused(request, 500, said)
    make_safe(answer.headers)  # this answer is given outside of all middleware
    return answer


HANDLERS: Final[Mapping[Any, Any]] = {
    errors.ArkorError: _arkor_error,
    HTTPException: _http_error,
    Exception: _unexpected,
}
"""What answers each kind of exception."""
