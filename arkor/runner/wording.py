"""Words for the person at a terminal: durations, curves, and texts that came from elsewhere."""

import math
import re
from collections.abc import Sequence
from typing import Final

__all__ = ["clean", "duration", "sparkline"]

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def clean(text: str) -> str:
    """`text` on one line, without the characters that could steer a terminal.

    Names and error texts come from the backend, and are printed as what they are.
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def duration(seconds: float) -> str:
    """Seconds as people say them: `45s`, `1m 15s`, `2h 05m 07s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m {rest:02}s"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def sparkline(values: Sequence[float]) -> str:
    """The course of some values in a word, such as `█▆▃▂▁`; what is not finite is left out."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(_BLOCKS) - 1) or 1.0
    return "".join(_BLOCKS[round((value - low) / step)] for value in known)
