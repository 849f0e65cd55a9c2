"""The host application's own word on who may read."""

import inspect
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Authorize", "Authorized"]

Authorize = Callable[[Request], bool | Awaitable[bool]]
"""Says whether a request may read."""


class Authorized:
    """Lets requests through to `app` that `authorize` accepts; the others are answered 403.

    An `HTTPException` that it raises is answered with its own status, headers and words.
    """

    def __init__(self, app: ASGIApp, *, authorize: Authorize) -> None:
        self._app = app
        self._authorize = authorize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here if it is refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = await self._refuse(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    async def _refuse(self, request: Request) -> JSONResponse | None:
        try:
            verdict = self._authorize(request)
            if inspect.isawaitable(verdict):
                verdict = await verdict
        except HTTPException as error:
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        if verdict is True:
            return None
        return JSONResponse({"error": "you may not read the runs of this service"}, 403)
