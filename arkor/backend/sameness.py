"""Which events say the same: a trainer that went back to a checkpoint sends some again."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["sameness"]

_ONCE: Final = ("training.started", "training.completed", "training.failed")


def sameness(event: Mapping[str, Any]) -> str | None:
    """What two sendings of one event have in common; `None` for one that is always another."""
    kind, step = str(event["type"]), event.get("step")
    if kind in _ONCE:
        return kind
    if step is None:
        return None
    return f"{kind} {step}{' evaluated' if event.get('evalLoss') is not None else ''}"
