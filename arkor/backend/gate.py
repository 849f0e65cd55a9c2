"""What every request must bring: a loopback host, a client version, the bearer token."""

import hmac
import re
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PUBLIC", "Gate"]

PUBLIC: Final = "/v1/endpoints-public/"
"""What the paths of endpoints begin with. Each decides by itself who may ask it."""

_LOOPBACK: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_CLIENT: Final = re.compile(r"arkor/\d+\.\d+\.\d+(?:[-+][\w.\-+]+)?", re.ASCII)


class Gate:
    """Lets requests through to `app` that may use this backend.

    The host is looked at first, so that a web page which has its own name point to this
    machine (DNS rebinding) learns nothing, not even that there is a backend.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here if it is refused."""
        if scope["type"] == "http" and (refused := self._refuse(scope)):
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not _LOOPBACK.fullmatch(headers.get("host", "")):
            said = "this backend answers requests to 127.0.0.1 or localhost only"
            return JSONResponse({"error": said}, 403)
        if scope["path"] == "/healthz":
            return None
        if scope["path"].startswith(PUBLIC):
            return _refuse_page(headers)
        if reason := _version_fault(headers.get("x-arkor-client")):
            return JSONResponse(_upgrade(reason), 426)
        given = headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._authorization):
            said = "the token is missing or not this backend's; server.json in its folder has it"
            return JSONResponse({"error": said}, 401, {"WWW-Authenticate": "Bearer"})
        return None


def _refuse_page(headers: Headers) -> Response | None:
    """Refuse what a web page of elsewhere has the browser send: it needs no key to come so far."""
    origin = headers.get("origin")
    if origin is None or _LOOPBACK.fullmatch(origin.partition("://")[2]):
        return None
    return JSONResponse({"error": "a web page from elsewhere may not ask this endpoint"}, 403)


def _version_fault(client: str | None) -> str | None:
    if client is None:
        return "missing"
    return None if _CLIENT.fullmatch(client) else "malformed"


def _upgrade(reason: str) -> dict[str, Any]:
    return {
        "error": "sdk_version_unsupported",
        "currentVersion": "unknown",
        "supportedRange": "*",
        "upgrade": "pip install -U arkor",
        "reason": reason,
    }
