"""A record as a CloudEvent: version 1.0 in its JSON format, one event a line."""

import json
import re
from typing import Any, Final, Never

from arkor.core.record import Record

__all__ = ["cloud_event"]


def cloud_event(record: Record) -> bytes:
    """The record as one CloudEvent, in UTF-8, with the line's end.

    `id` is RUN/SEQ and `source` `urn:arkor:run:RUN`. `type` is `dev.arkor.` and the record's
    source and type. `data` is the event's JSON as it came, to the digit, else its text. The
    extensions `arkorseq`, `arkorsource`, `arkortype`, `arkordigest` and `sseid` say the rest. A
    character that an attribute may not hold is percent-encoded in it, and so is `%`.
    """
    kind = _attribute(record.type)
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{record.run_id}/{record.seq}",
        "source": f"urn:arkor:run:{record.run_id}",
        "type": f"dev.arkor.{record.source}.{kind}",
        "time": record.recorded_at,
        "arkorseq": record.seq,
        "arkorsource": record.source,
        "arkortype": kind,
        "arkordigest": record.digest.hex(),
    }
    if record.sse_id is not None:
        attributes["sseid"] = _attribute(record.sse_id)
    is_json = _is_json(record.data)
    attributes["datacontenttype"] = "application/json" if is_json else "text/plain"
    data = _on_one_line(record.data) if is_json else _ENCODER.encode(record.data)
    # What the other end reads as JSON is what came: read and written again, 1e400 and the second
    # of two equal keys would be lost.
    line = f'{_ENCODER.encode(attributes)[:-1]},"data":{data}}}\n'
    # A lone surrogate can stand in a JSON text only, where this is its escape.
    return line.encode("utf-8", "backslashreplace")


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


# Numbers need not be read to know that they are numbers, however long they are.
_JSON: Final = json.JSONDecoder(parse_constant=_refuse, parse_int=len, parse_float=len)


def _is_json(text: str) -> bool:
    try:
        _JSON.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


_ENDS: Final = str.maketrans(
    {"\n": " ", "\r": " ", "\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""What ends a line for one reader or another: in JSON white space, or within a text."""


def _on_one_line(text: str) -> str:
    return text.translate(_ENDS) if not text.isascii() or "\n" in text or "\r" in text else text


_FORBIDDEN: Final = re.compile(
    "[%\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
"""What a CloudEvents String may not hold (CloudEvents 1.0.2, 3.1), and what stands for it."""


def _attribute(text: str) -> str:
    return _FORBIDDEN.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
