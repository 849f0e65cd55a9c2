"""The host application's own word on who may read."""

import inspect
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Authorize", "Authorized"]

Authorize = Callable[[Request], bool | Awaitable[bool]]
"""Says whether a request may read."""


class Authorized:
    """Lets requests through to `app` that `authorize` accepts; the others are answered 403.

    An `HTTPException` that it raises is the host's own answer.
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
        verdict = self._authorize(Request(scope))
        if inspect.isawaitable(verdict):
            verdict = await verdict
        if verdict is True:
            await self._app(scope, receive, send)
        else:
            said = {"error": "you may not read the runs of this service"}
            await JSONResponse(said, 403)(scope, receive, send)
