"""Sizes and durations as findings put them."""

from datetime import timedelta

__all__ = ["shown_size", "shown_time"]


def shown_size(size: int) -> str:
    """Bytes in words: `1.5 GB`."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"


def shown_time(seconds: float) -> str:
    """A duration in words: `2 days, 3:04:05`."""
    return str(timedelta(seconds=round(seconds)))
