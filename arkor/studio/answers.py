"""JSON as Studio answers it."""

import json
from typing import Any

from starlette.responses import JSONResponse

__all__ = ["Json"]


class Json(JSONResponse):
    """JSON that a browser can read: what is infinite or not a number is `null`, as in JSON."""

    def render(self, content: Any) -> bytes:
        """The bytes of the value."""
        try:
            text = json.dumps(content, allow_nan=False, separators=(",", ":"), default=_plain)
        except ValueError:
            text = json.dumps(finite(content), separators=(",", ":"), default=_plain)
        return text.encode()


def finite(value: Any) -> Any:
    """The value with `None` in the place of each float that JSON has not."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


def _plain(value: object) -> object:
    """A mapping or a set of the core's as JSON's own."""
    return dict(value) if hasattr(value, "keys") else list(value)  # type: ignore[call-overload]
