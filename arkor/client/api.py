"""The cloud API: one coroutine per endpoint."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from arkor.client import chat as _chat
from arkor.client.addresses import path_of
from arkor.client.caller import list_in
from arkor.client.deployments import DeploymentCalls
from arkor.client.notices import DeprecationHandler
from arkor.client.stream import EventStream, open_events
from arkor.client.transport import (
    TRIES,
    HasToken,
    Refresh,
    Request,
    Secrets,
    Transport,
    open_http,
)
from arkor.core.wire import Job, Scope, parse_job
from arkor.errors import CloudApiError, ProtocolError

__all__ = ["CloudApiClient", "HasToken"]

_PIECE: Final = 1024 * 1024
_UPLOAD_TIMEOUT: Final = 120.0


class CloudApiClient(DeploymentCalls):
    """The backend at `base_url`, for one identity.

    Every coroutine raises `CloudApiError` for a status outside 2xx, `BackendUnreachableError`
    if nothing answered, and `ProtocolError` for an answer that is not the protocol. What is
    safe to repeat is tried three times. As a context manager it closes the HTTP client that it
    made; one that was given stays open. `refresh` gets new credentials after a 401. What
    `secrets` gives stands in no error, as the token does not.
    """

    def __init__(
        self,
        base_url: str,
        credentials: HasToken,
        *,
        http: httpx.AsyncClient | None = None,
        on_deprecation: DeprecationHandler | None = None,
        refresh: Refresh | None = None,
        secrets: Secrets = tuple,
    ) -> None:
        self._own = open_http() if http is None else None
        client = http or self._own
        assert client is not None
        self.transport = Transport(
            base_url,
            credentials,
            http=client,
            on_deprecation=on_deprecation,
            refresh=refresh,
            secrets=secrets,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the HTTP client, if it is this object's own."""
        if self._own is not None:
            await self._own.aclose()

    async def me(self) -> dict[str, Any]:
        """Who the backend takes us for: `user`, and the `orgs` within reach."""
        return await self._ask(Request("GET", path_of("v1", "me")))

    async def list_projects(self, org_slug: str) -> list[dict[str, Any]]:
        """The projects of an organisation: each has `id`, `slug`, `name`, `orgId`."""
        value = await self._ask(Request("GET", path_of("v1", "projects"), {"orgSlug": org_slug}))
        return [_project(item) for item in list_in(value, "projects")]

    async def create_project(self, org_slug: str, name: str, slug: str) -> dict[str, Any]:
        """Make a project. `CloudApiError` 409 if the slug is taken."""
        query, body = {"orgSlug": org_slug}, {"name": name, "slug": slug}
        value = await self._ask(Request("POST", path_of("v1", "projects"), query, json=body))
        return _project(value.get("project"))

    async def create_job(
        self,
        scope: Scope,
        name: str,
        config: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        tries: int = TRIES,
    ) -> Job:
        """Submit a job. With a key it is sent up to `tries` times until it is answered.

        That is safe at a backend that honours keys; at another, look before sending again.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        body = {"name": name, "config": dict(config)}
        value = await self._ask(
            Request(
                "POST", path_of("v1", "jobs"), scope.to_query(), headers, json=body, tries=tries
            )
        )
        return parse_job(value.get("job"))

    async def list_jobs(self, scope: Scope) -> list[Job]:
        """The project's jobs, in the backend's order."""
        value = await self._ask(Request("GET", path_of("v1", "jobs"), scope.to_query()))
        return [parse_job(item) for item in list_in(value, "jobs")]

    async def get_job(self, scope: Scope, job_id: str) -> Job:
        """One job as it is now."""
        path = path_of("v1", "jobs", job_id)
        value = await self._ask(Request("GET", path, scope.to_query()))
        return parse_job(value.get("job"))

    async def cancel_job(self, scope: Scope, job_id: str) -> None:
        """Ask for a job to be stopped. `CloudApiError` 409 if it has ended already."""
        path = path_of("v1", "jobs", job_id, "cancel")
        # Stopping twice does no more than stopping once, which the key says of this POST.
        headers = {"Idempotency-Key": uuid4().hex}
        await self.transport.send(Request("POST", path, scope.to_query(), headers))

    def open_event_stream(
        self,
        scope: Scope,
        job_id: str,
        *,
        last_event_id: str | None = None,
        idle_timeout: float = 90.0,
    ) -> AbstractAsyncContextManager[EventStream]:
        """One connection to a job's events, after `last_event_id`; see `EventStream`."""
        return open_events(
            self, scope, job_id, last_event_id=last_event_id, idle_timeout=idle_timeout
        )

    async def chat(self, scope: Scope, body: Mapping[str, Any]) -> _chat.InferResult:
        """Ask a model and wait for the whole answer; `build_chat_body` makes the body."""
        return await _chat.chat(self, scope, body)

    def stream_chat(self, scope: Scope, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        """Ask a model; yield the answer's text as it comes. To leave early, use `aclosing`."""
        return _chat.stream_chat(self, scope, body)

    async def put_dataset(self, sha256: str, path: Path) -> None:
        """Bring a file to the backend, unless one with this digest (hex) is there.

        `CloudApiError` 404 or 405 at a backend that takes no files, 400 if the file is not the
        one the digest is of. Raises `OSError` if it cannot be read.
        """
        at = path_of("v1", "datasets", sha256)
        try:
            await self.transport.send(Request("HEAD", at))
        except CloudApiError as error:
            if error.status not in (404, 405):
                raise
        else:
            return
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        await self.transport.send(
            Request(
                "PUT",
                at,
                headers={"Content-Type": "application/x-ndjson", "Content-Length": str(size)},
                content=partial(_pieces, path),
                read_timeout=_UPLOAD_TIMEOUT,
            )
        )


def _project(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError("a project must be a JSON object")
    for key in ("id", "slug", "name", "orgId"):
        if not isinstance(value.get(key), str):
            raise ProtocolError(f"a project's `{key}` must be a string")
    return value


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
