"""Where a request goes: its URL, and whether a redirect may take the token along."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import httpx

from arkor.errors import ConfigError

__all__ = ["host_of", "path_of", "redirect_of", "url_of"]

_KEEPS_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303}) | _KEEPS_METHOD


def path_of(*segments: str) -> str:
    """A path of percent-encoded segments: `path_of("v1", "jobs", "a/b")` is `/v1/jobs/a%2Fb`."""
    encoded = (quote(segment, safe="") for segment in segments)
    # A segment of dots alone would be resolved away on its way (RFC 3986, 5.2.4).
    return "".join(
        "/" + (part.replace(".", "%2E") if part in (".", "..") else part) for part in encoded
    )


def url_of(base_url: str, path: str, query: Mapping[str, str]) -> httpx.URL:
    """The URL of an encoded path at a backend. Raises `ConfigError` if that has no usable one."""
    encoded = f"?{urlencode(query, quote_via=quote)}" if query else ""
    try:
        url = httpx.URL(f"{base_url}{path}{encoded}")
    except httpx.InvalidURL as error:
        raise _no_address(base_url) from error
    # httpx would send a user name in the URL instead of the token.
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise _no_address(base_url)
    return url


def host_of(base_url: str) -> str:
    """The host and port in an address, for messages."""
    try:
        return httpx.URL(base_url).netloc.decode("ascii") or "the backend"
    except httpx.InvalidURL:
        return "the backend"


def redirect_of(response: httpx.Response) -> httpx.URL | None:
    """Where the same request is to be sent again, if anywhere.

    On the same origin only (RFC 6454, 4), since the token goes along, and never as another
    method (RFC 9110, 15.4).
    """
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or location is None:
        return None
    if response.request.method not in ("GET", "HEAD") and response.status_code not in _KEEPS_METHOD:
        return None
    try:
        target = response.url.join(location)
    except httpx.InvalidURL:
        return None
    return target if _origin(target) == _origin(response.url) else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or default


def _no_address(base_url: str) -> ConfigError:
    # What stands before an @ may be a password.
    shown = repr(base_url.rpartition("@")[2])
    return ConfigError(
        f"the backend's address {shown} is not an http(s) URL without a user name; "
        "set ARKOR_CLOUD_API_URL to one, or unset it",
        field="base_url",
    )
