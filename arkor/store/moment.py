"""When a record was appended: the number that is stored, and the text that its digest covers."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

__all__ = ["microseconds", "rfc3339"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=256)  # the records of one transaction have one time
def rfc3339(at: int) -> str:
    """Microseconds of Unix time as RFC 3339 text, in UTC.

    Raises `OverflowError` for what is in no year from 1 to 9999.
    """
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@lru_cache(maxsize=256)
def microseconds(text: str) -> int:
    """Text of `rfc3339` as the number it was made of.

    Raises `ValueError` for any other text, also if it names a time.
    """
    at = (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    if rfc3339(at) != text:
        raise ValueError(f"{text!r} is no time as a record has it")
    return at
