"""Telling somebody: a small JSON message to a Slack, Discord or any other hook."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import httpx

from arkor.client.transport import open_http
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
            async with open_http() as http:
                response = await http.post(
                    self._url, json=message, headers={"Idempotency-Key": key}, timeout=TIMEOUT
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The error's own text may hold the address.
            log.warning("a webhook was not reached: %s", type(error).__name__)
            return {"error": type(error).__name__}
        if not response.is_success:
            log.warning("a webhook answered with status %d", response.status_code)
        return {"status": response.status_code}
