"""Telling somebody: a small JSON message to a Slack, Discord or any other hook."""

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

import httpx

from arkor.client.notices import sdk_version
from arkor.errors import ConfigError
from arkor.runner.contexts import (
    CancelledContext,
    CheckpointContext,
    CompletedContext,
    Context,
    FailedContext,
    StartedContext,
)

__all__ = ["Webhook"]

log = logging.getLogger("arkor")

EVENTS: Final = ("started", "checkpoint", "completed", "failed", "cancelled")
TIMEOUT: Final = 10.0
LONGEST_ERROR: Final = 500
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Webhook:
    """Posts one message for each of `events`; a hook that fails never breaks the run.

    The message has `text` (Slack) and `content` (Discord), and under `run` the event, name, job
    id, status, step and error. It carries an `Idempotency-Key`, and is sent once: only a crash
    between sending and recording repeats it. The address, which is a secret of many hooks, is
    neither recorded nor logged.
    """

    def __init__(
        self,
        url: str,
        events: Sequence[str] = ("completed", "failed", "cancelled"),
        *,
        name: str = "webhook",
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ConfigError("a webhook's url must begin with https:// or http://", field="url")
        for event in events:
            if event not in EVENTS:
                raise ConfigError(
                    f"events may be {', '.join(EVENTS)}, not {event!r}", field="events"
                )
        self.name = name
        self.events = tuple(events)
        self._url = url

    def __repr__(self) -> str:
        return f"Webhook(<url>, events={self.events!r})"

    async def on_started(self, ctx: StartedContext) -> None:
        """Say that the run began to train."""
        await self._tell("started", ctx, "started")

    async def on_checkpoint(self, ctx: CheckpointContext) -> None:
        """Say that a checkpoint was saved."""
        await self._tell("checkpoint", ctx, f"saved a checkpoint at step {ctx.step}", step=ctx.step)

    async def on_completed(self, ctx: CompletedContext) -> None:
        """Say that the run completed."""
        await self._tell("completed", ctx, "completed")

    async def on_failed(self, ctx: FailedContext) -> None:
        """Say that the run failed, and why."""
        error = ctx.error[:LONGEST_ERROR]
        await self._tell("failed", ctx, f"failed: {error}", error=error)

    async def on_cancelled(self, ctx: CancelledContext) -> None:
        """Say that the run was cancelled."""
        await self._tell("cancelled", ctx, "was cancelled")

    async def _tell(self, event: str, ctx: Context, said: str, **more: Any) -> None:
        if event not in self.events:
            return
        text = f"{ctx.job.name} {said}"
        run = {"event": event, "name": ctx.job.name, "job_id": ctx.job.id, "status": ctx.job.status}
        message = {"text": text, "content": text, "run": {**run, **more}}
        key = ctx.idempotency_key(event)

        async def post() -> dict[str, Any]:
            return await self._post(message, key)

        await ctx.once(event, post)

    async def _post(self, message: dict[str, Any], key: str) -> dict[str, Any]:
        """Send, and say what came of it: a status, or the kind of failure."""
        try:
            status = await asyncio.to_thread(_send, self._url, message, key)
        except (OSError, HTTPException, httpx.InvalidURL, ValueError) as error:
            # The error's own text may hold the address.
            reason = error.reason if isinstance(error, URLError) else error
            kind = type(reason if isinstance(reason, Exception) else error).__name__
            log.warning("a webhook was not reached: %s", kind)
            return {"error": kind}
        if not 200 <= status < 300:
            log.warning("a webhook answered with status %d", status)
        return {"status": status}


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Go nowhere else: a redirect is an answer like any other."""


def _send(address: str, message: dict[str, Any], key: str) -> int:
    """Post `message` and give the answer's status."""
    url = httpx.URL(address)
    # httpx logs the address of each request, and httpcore the headers of each answer, which
    # repeat it in a redirect. The standard library logs nothing.
    request = Request(  # noqa: S310 - the constructor has looked at the scheme
        str(url.copy_with(userinfo=b"")),
        data=json.dumps(message).encode(),
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            # Some hooks turn away whatever calls itself a library.
            "User-Agent": f"arkor/{sdk_version()}",
        },
        method="POST",
    )
    if url.userinfo:
        named = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {named}")
    opener = build_opener(
        ProxyHandler({} if url.host in LOOPBACK else None),
        HTTPSHandler(context=httpx.create_ssl_context()),
        _NoRedirects,
    )
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
