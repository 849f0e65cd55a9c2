"""The examination of the backend: whether it answers and takes the token, and what time it has."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import httpx

from arkor.client.addresses import host_of
from arkor.client.answers import read_object
from arkor.client.notices import Deprecation
from arkor.client.transport import HasToken, Request, Transport
from arkor.errors import ArkorError, CloudApiError
from arkor.runner.doctor_finding import Finding, as_finding
from arkor.runner.doctor_site import Site
from arkor.runner.doctor_words import shown_time
from arkor.runner.identity import Identity, default_arkor_cloud_api_url
from arkor.runner.local import LOCAL, LocalBackend, find_backend
from arkor.store.credentials import OAuthCredentials
from arkor.store.filelock import lock_holder
from arkor.store.paths import backend_path

__all__ = ["Way", "examine_backend", "examine_embedded", "way_to"]

CLOCK_SLACK: Final = 60.0
"""Seconds by which a backend's clock may differ; its `Date` has whole ones."""

ADDRESS: Final = "see that the address is right (ARKOR_CLOUD_API_URL) and the network is up"


@dataclass(frozen=True, slots=True)
class Way:
    """How the backend is reached: its address as runs record it, its URL, and who asks.

    `identity` is `None` where nobody is signed in.
    """

    address: str
    url: str
    identity: HasToken | None = field(repr=False)


def way_to(site: Site, identity: Identity | None, embedded: LocalBackend | None) -> Way | None:
    """The way to the backend of the settings; `None` if that is the embedded one and at rest."""
    if site.address == LOCAL:
        return None if embedded is None else Way(LOCAL, embedded.url, embedded)
    address = site.address
    if address is None:
        address = default_arkor_cloud_api_url(identity)
    return Way(address, address, identity)


async def examine_embedded(site: Site) -> tuple[LocalBackend | None, Finding]:
    """The embedded backend if it runs, and what is found about it."""
    folder = backend_path(site.home)
    try:
        backend = await asyncio.to_thread(find_backend, site.home)
        holder = lock_holder(folder / "lock") if backend is None else None
    except (ArkorError, OSError) as error:
        step = "mend that, or set ARKOR_HOME to another folder"
        return None, as_finding("backend.embedded", error, step)
    if backend is not None:
        what = f"the embedded backend runs at {backend.url} (pid {backend.pid})"
        return backend, Finding("backend.embedded", "ok", what)
    if holder is None:
        what = "the embedded backend is not running; a run that needs it starts it"
        return None, Finding("backend.embedded", "ok", what)
    return None, Finding(
        "backend.embedded",
        "warning",
        f"the embedded backend (pid {holder}) does not answer",
        "`arkor backend logs` says what it does; `arkor backend stop`, then `arkor backend start`",
    )


async def examine_backend(way: Way, http: httpx.AsyncClient, timeout: float) -> list[Finding]:
    """What the backend's answer to one question says; given up after `timeout` seconds."""
    notices: list[Deprecation] = []
    transport = Transport(way.url, way.identity, http=http, on_deprecation=notices.append)
    reached = await _ask(transport, way, timeout)
    return [reached, *_clock(transport.clock_offset), *map(_outdated, notices)]


async def _ask(transport: Transport, way: Way, timeout: float) -> Finding:
    # Who is not signed in has no question that every backend answers: any answer will do.
    path = "/v1/me" if way.identity else "/healthz"
    began = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            request = Request("GET", path, read_timeout=timeout, tries=1)
            response = await transport.send(request)
        if way.identity is not None:
            read_object(response, transport.secrets)
    except CloudApiError as error:
        return _refused(way, error)
    except TimeoutError:
        what = f"{transport.host} did not answer within {timeout:g} s"
        return Finding("backend.reach", "warning", what, ADDRESS)
    except ArkorError as error:
        return Finding("backend.reach", "warning", str(error), ADDRESS)
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    accepts = "" if way.identity is None else ", and accepts the token"
    return Finding("backend.reach", "ok", f"{transport.host} answers in {took}{accepts}")


def _refused(way: Way, error: CloudApiError) -> Finding:
    said = f"{host_of(way.url)} answers {error.status}: {error.message}"
    match error.status:
        case 401 | 403 if isinstance(way.identity, OAuthCredentials) and way.identity.refresh_token:
            what = f"{said}; the next request renews the token"
            return Finding("backend.reach", "note", what, "`arkor login`, if that fails")
        case 401 | 403 if way.identity is not None:
            step = "`arkor login`, or set ARKOR_TOKEN to a token that holds"
            return Finding("backend.reach", "problem", said, step)
        case 426:
            return Finding("backend.reach", "problem", said, "`pip install -U arkor`")
        case 429 | 500 | 502 | 503 | 504:
            return Finding("backend.reach", "warning", said, "try again in a few minutes")
        case _ if way.identity is None:
            return Finding("backend.reach", "ok", f"{host_of(way.url)} answers")
        case _:
            return Finding("backend.reach", "warning", said, ADDRESS)


def _clock(offset: float | None) -> list[Finding]:
    if offset is None:
        return []
    if abs(offset) <= CLOCK_SLACK:
        return [Finding("backend.clock", "ok", "the backend's clock agrees with this machine's")]
    relation = "behind" if offset > 0 else "ahead of"
    return [
        Finding(
            "backend.clock",
            "warning",
            f"this machine's clock is {shown_time(abs(offset))} {relation} the backend's",
            "set the clock (`sudo timedatectl set-ntp true`)",
        )
    ]


def _outdated(notice: Deprecation) -> Finding:
    until = f" (until {notice.sunset})" if notice.sunset else ""
    what = f"the backend will stop to serve this release{until}: {notice.message}"
    return Finding("backend.release", "warning", what, "`pip install -U arkor`")
