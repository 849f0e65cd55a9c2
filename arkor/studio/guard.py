"""Who may talk to Studio: from this machine, from Studio's own pages, with this user's session."""

import re
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkor.studio.access import SESSION, Access

__all__ = ["COOKIE", "TOKEN_HEADER", "Guard"]

TOKEN_HEADER: Final = "x-arkor-studio-token"  # noqa: S105 (a header's name)
"""The header by which a program shows this launch's token."""

COOKIE: Final = "arkor-studio"
"""The beginning of the cookie's name; its end is the port, since browsers share cookies of ports."""

_LOOPBACK: Final = re.compile(
    r"(?:127\.0\.0\.1|localhost)(?::(\d{1,5}))?", re.IGNORECASE | re.ASCII
)

_READING: Final = frozenset({"GET", "HEAD"})

_NEXT: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>Arkor Studio</title></head><body><p><a href="/">Open Studio</a></p></body></html>
"""
"""Leads on from the ticket's address. A redirect would not do: after one, a browser that came from
another site does not send a cookie that is `SameSite=Strict`."""


class Guard:
    """Lets requests through to `app` that may use this Studio.

    The host is looked at first, so that a web page which has its own name point to this machine
    (DNS rebinding) learns nothing; then where the request comes from, so that a page of another
    site or of another port cannot act in the user's name; then who sends it.
    """

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request here if it is refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        answer = _foreign(scope, headers) or self._admit(scope, headers)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, self._renewing(headers, send))

    def _admit(self, scope: Scope, headers: Headers) -> Response | None:
        given = headers.get(TOKEN_HEADER)
        if given is not None:
            return None if self._access.is_token(given) else _refused(scope, NO_TOKEN)
        if scope["path"] == "/" and (ticket := _ticket(scope)):
            if self._session(headers) or self._access.redeem(ticket):
                answer = HTMLResponse(_NEXT, headers={"Cache-Control": "no-store"})
                self._sign_in(headers, answer.headers)
                return answer
            return _refused(scope, USED)
        return None if self._session(headers) else _refused(scope, NO_SESSION)

    def _session(self, headers: Headers) -> str | None:
        given = _cookie(headers)
        return given if given and self._access.is_session(given) else None

    def _renewing(self, headers: Headers, send: Send) -> Send:
        session = self._session(headers)
        if session is None or not self._access.is_stale(session):
            return send

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._sign_in(headers, MutableHeaders(scope=message))
            await send(message)

        return sending

    def _sign_in(self, headers: Headers, answer: MutableHeaders) -> None:
        answer.append(
            "Set-Cookie",
            f"{_cookie_name(headers)}={self._access.session()}; Path=/; Max-Age={SESSION}; "
            "HttpOnly; SameSite=Strict",
        )


NO_TOKEN: Final = "Missing or invalid studio token"  # noqa: S105 (a sentence)
NO_SESSION: Final = (
    "Studio is open to the browser that used the address which `arkor dev` printed; "
    "use that address, or start `arkor dev` again"
)
USED: Final = (
    "This address of Studio has been used or is of an earlier start; "
    "`arkor dev` has printed the next one"
)


def _foreign(scope: Scope, headers: Headers) -> Response | None:
    """The refusal of a request that does not come from this machine, or from our own page."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return _refused(scope, "Studio API is loopback-only")
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    ours = f"http://{hosts[0]}".lower()
    if origin is not None and origin.lower() != ours:
        return _refused(scope, "Studio takes requests of its own pages only")
    if site not in (None, "same-origin", "none") and not _is_navigation(scope, headers):
        return _refused(scope, "Studio takes requests of its own pages only")
    if scope["method"] in _READING or headers.get(TOKEN_HEADER) is not None:
        return None
    if origin is None and site != "same-origin":
        return _refused(scope, "Studio does things at the request of its own pages only")
    return None


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to a page: that reads nothing for the page it is on."""
    return (
        scope["method"] == "GET"
        and not scope["path"].startswith("/api/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _refused(scope: Scope, sentence: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": sentence}, 403, headers)
    return PlainTextResponse(sentence + "\n", 403, headers)


def _ticket(scope: Scope) -> str | None:
    if scope["method"] != "GET":
        return None
    found = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return found[0] if found and len(found) == 1 else None


def _cookie_name(headers: Headers) -> str:
    found = _LOOPBACK.fullmatch(headers["host"])
    return f"{COOKIE}-{(found and found[1]) or 80}"


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(headers))
    except CookieError:
        return None
    return found.value if found else None
