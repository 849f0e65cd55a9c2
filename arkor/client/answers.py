"""Reading the backend's answers: JSON out of a good one, a typed error out of a bad one."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import httpx

from arkor.client.notices import unsupported_message
from arkor.client.retry import parse_retry_after
from arkor.errors import CloudApiError, ProtocolError

__all__ = ["LONGEST_ERROR_BODY", "error_of", "excerpt", "read_object", "strike"]

LONGEST_ERROR_BODY: Final = 64 * 1024
"""Bytes of an error's body that are read; the rest says nothing new."""

_EXCERPT: Final = 200
_LONGEST_TEXT: Final = 500


def read_object(
    response: httpx.Response, secrets: Iterable[str], *, quoted: bool = True
) -> dict[str, Any]:
    """The JSON object in a response.

    Raises `ProtocolError`, with an excerpt of the body without `secrets`, and with none of it
    unless `quoted`: where a token is issued the body itself is the secret.
    """
    try:
        value = json.loads(response.content)
    except ValueError as error:
        # The JSON library's error carries the whole body along.
        cause = error if quoted else None
        raise _not_the_protocol(response, "is not JSON", secrets, quoted) from cause
    if not isinstance(value, dict):
        raise _not_the_protocol(response, "is not a JSON object", secrets, quoted)
    return value


def error_of(
    response: httpx.Response, body: bytes, secrets: Iterable[str], *, quoted: bool = True
) -> CloudApiError:
    """The error that a response outside 2xx stands for.

    Its message is the body's `error`, with the body's `message` where it explains that, else
    the body's text if that may be `quoted`, else `cloud-api STATUS`. None of it holds one of
    `secrets`, which a backend that explains a refusal may have repeated.
    """
    status, secrets = response.status_code, frozenset(secrets)
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    code = _text(value, "error", secrets)
    explained = _text(value, "message", secrets)
    if status == 426:
        message = _clean(unsupported_message(value), secrets, 4 * _LONGEST_TEXT)
    elif 300 <= status <= 399:
        message = _not_followed(response)
    elif code is not None:
        message = code if explained is None else f"{explained} ({code})"
    elif text and quoted and "html" not in response.headers.get("content-type", ""):
        message = _clean(text, secrets, _LONGEST_TEXT)
    else:
        message = f"cloud-api {status}"
    retry_after = parse_retry_after(response.headers.get("retry-after"))
    return CloudApiError(status, message, code=code, retry_after=retry_after)


def excerpt(text: str, secrets: Iterable[str]) -> str:
    """The beginning of `text` on one line, for an error's message."""
    return repr(_clean(text, secrets, _EXCERPT))


def strike(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets` of any length, as they are or as JSON or a form spells them."""
    spellings = {each for secret in secrets if secret for each in _spellings(secret)}
    if not spellings:
        return text
    # The longest first: of two secrets of which one begins the other, no rest may stay.
    longest_first = sorted(spellings, key=lambda each: (-len(each), each))
    return re.sub("|".join(map(re.escape, longest_first)), "[redacted]", text)


def _spellings(secret: str) -> set[str]:
    ascii_only, plain = (json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False))
    return {secret, ascii_only, plain, plain.replace("/", "\\/"), quote(secret, safe="")}


def _text(value: object, key: str, secrets: Iterable[str]) -> str | None:
    given = value.get(key) if isinstance(value, dict) else None
    return _clean(given, secrets, _LONGEST_TEXT) if isinstance(given, str) and given else None


def _clean(text: str, secrets: Iterable[str], length: int) -> str:
    # The secrets go first: cutting one in two would leave half of it in the text.
    text = strike(text, secrets)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+", " ", text).strip()
    return text if len(text) <= length else text[: length - 1] + "…"


def _not_followed(response: httpx.Response) -> str:
    return (
        f"{response.url.host} answered {response.status_code}, a redirect that is not followed: "
        "only those on the same origin are, five in a row at most"
    )


def _not_the_protocol(
    response: httpx.Response, what: str, secrets: Iterable[str], quoted: bool
) -> ProtocolError:
    kind = response.headers.get("content-type", "no content type")
    said = f": {excerpt(response.text[:LONGEST_ERROR_BODY], secrets)}" if quoted else ""
    return ProtocolError(
        f"{response.request.method} {response.url.path} at {response.url.host} answered "
        f"{response.status_code} with a body ({kind}) that {what}{said}; is it an Arkor backend?"
    )
