"""What a step raised, as JSON and back: a replayed callback meets the same kind of error."""

import builtins
from collections.abc import Mapping
from typing import Any

import arkor.errors
from arkor.errors import ArkorError, CloudApiError

__all__ = ["error_of", "exception_of"]


def error_of(error: Exception) -> dict[str, Any]:
    """The type, the message and, of a backend's refusal, the status."""
    described: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, CloudApiError):
        described["status"] = error.status
    return described


def exception_of(error: Mapping[str, Any]) -> Exception:
    """An exception of that type if it is one of ours or of Python's, else an `ArkorError`."""
    name, message = str(error.get("type")), str(error.get("message"))
    if "status" in error:
        return CloudApiError(int(error["status"]), message)
    kind = getattr(arkor.errors, name, None) or getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # it wants more than a message
            pass
    return ArkorError(f"{name}: {message}")
