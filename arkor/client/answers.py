"""Reading the backend's answers: JSON out of a good one, a typed error out of a bad one."""

import json
import re
from typing import Any, Final

import httpx

from arkor.client.notices import unsupported_message
from arkor.client.retry import parse_retry_after
from arkor.errors import CloudApiError, ProtocolError

__all__ = ["LONGEST_ERROR_BODY", "error_of", "excerpt", "read_object"]

LONGEST_ERROR_BODY: Final = 64 * 1024
"""Bytes of an error's body that are read; the rest says nothing new."""

_EXCERPT: Final = 200
_LONGEST_TEXT: Final = 500


def read_object(response: httpx.Response, secret: str) -> dict[str, Any]:
    """The JSON object in a response. Raises `ProtocolError` with an excerpt without `secret`."""
    try:
        value = json.loads(response.content)
    except ValueError as error:
        raise _not_the_protocol(response, "is not JSON", secret) from error
    if not isinstance(value, dict):
        raise _not_the_protocol(response, "is not a JSON object", secret)
    return value


def error_of(response: httpx.Response, body: bytes, secret: str) -> CloudApiError:
    """The error that a response outside 2xx stands for.

    Its message is the body's `error`, with the body's `message` where it explains that, else
    the body's text, else `cloud-api STATUS`.
    """
    status = response.status_code
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    code = _text(value, "error", secret)
    explained = _text(value, "message", secret)
    if status == 426:
        message = _clean(unsupported_message(value), secret, 4 * _LONGEST_TEXT)
    elif 300 <= status <= 399:
        message = _not_followed(response)
    elif code is not None:
        message = code if explained is None else f"{explained} ({code})"
    elif text and "html" not in response.headers.get("content-type", ""):
        message = _clean(text, secret, _LONGEST_TEXT)
    else:
        message = f"cloud-api {status}"
    retry_after = parse_retry_after(response.headers.get("retry-after"))
    return CloudApiError(status, message, code=code, retry_after=retry_after)


def excerpt(text: str, secret: str) -> str:
    """The beginning of `text` on one line, for an error's message."""
    return repr(_clean(text, secret, _EXCERPT))


def _text(value: object, key: str, secret: str) -> str | None:
    given = value.get(key) if isinstance(value, dict) else None
    return _clean(given, secret, _LONGEST_TEXT) if isinstance(given, str) and given else None


def _clean(text: str, secret: str, length: int) -> str:
    # The secret goes first: cutting it in two would leave half of it in the text.
    if secret:
        text = text.replace(secret, "[redacted]")
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+", " ", text).strip()
    return text if len(text) <= length else text[: length - 1] + "…"


def _not_followed(response: httpx.Response) -> str:
    return (
        f"{response.url.host} answered {response.status_code}, a redirect that is not followed: "
        "only those on the same origin are, five in a row at most"
    )


def _not_the_protocol(response: httpx.Response, what: str, secret: str) -> ProtocolError:
    kind = response.headers.get("content-type", "no content type")
    return ProtocolError(
        f"{response.request.method} {response.url.path} at {response.url.host} answered "
        f"{response.status_code} with a body ({kind}) that {what}: "
        f"{excerpt(response.text[: 4 * _EXCERPT], secret)}; is it an Arkor backend?"
    )
