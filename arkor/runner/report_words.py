"""Figures, durations and texts as a report shows them: short, with their units, on one line."""

import json
import math
import re
from typing import Any, Final

from arkor.runner.wording import clean, duration

__all__ = ["brief", "count", "figure", "json_text", "metric", "plural", "short", "shown", "when"]

METRIC_NAMES: Final = {
    "loss": "loss",
    "eval_loss": "eval loss",
    "learning_rate": "learning rate",
    "samples_per_second": "samples / s",
}

LONGEST: Final = 20_000
"""Characters of one text that are shown: a page must open."""

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def shown(text: str) -> str:
    """`text` on one line: controls, bidi marks and half surrogate pairs spelled, not obeyed."""
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"
    return _SURROGATES.sub(lambda found: repr(found[0])[1:-1], clean(cut))


def figure(value: float | None) -> str:
    """A figure in five digits; nothing for none."""
    return "" if value is None else f"{value:.5g}"


def count(value: int | None) -> str:
    """A whole number with its thousands set apart."""
    return "" if value is None else f"{value:,}"


def plural(value: int, one: str, many: str | None = None) -> str:
    """`1 call`, `2 calls`, `no calls`."""
    return (
        f"{value:,} {one}"
        if value == 1
        else f"{value or 'no':{',' if value else ''}} {many or one + 's'}"
    )


def brief(seconds: float | None) -> str:
    """Seconds with a unit that suits them: `350 µs`, `12.3 ms`, `4.56 s`, `1m 15s`."""
    if seconds is None:
        return ""
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds >= 60:
        return duration(seconds)
    if seconds >= 1 or seconds <= 0:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def when(time: str | None) -> str:
    """An RFC 3339 time of ours to the millisecond, without its zone, which is UTC."""
    if time is None:
        return ""
    return re.sub(r"(\.\d{3})\d*(Z|\+00:00)$", r"\1", time).replace("T", " ")


def json_text(value: Any) -> str:
    """A value as JSON, which tells `8` from `"8"`."""
    return json.dumps(value, ensure_ascii=False)


def metric(name: str) -> str:
    """A metric's name in words."""
    return METRIC_NAMES.get(name, name)


def short(digest: object) -> str:
    """The beginning of a digest, enough to recognise it by."""
    return str(digest)[:12]
