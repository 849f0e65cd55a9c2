"""A record as one line of a file: of JSON, which can be read back, and of CSV.

The line of JSON holds everything that a digest covers, so the chain can be recomputed from it:

    {"runId":"01K...","seq":1,"source":"local","type":"arkor.submit.requested","id":null,
     "recordedAt":"2026-11-24T02:00:00.000000Z","data":"<the exact text>","digest":"<hex>"}
"""

import csv
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Never

from arkor.core.record import Record

__all__ = ["CSV_HEADER", "csv_row", "json_line", "read_line", "read_shown"]

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))

LARGEST_SEQ: Final = 2**63 - 1


def json_line(record: Record) -> bytes:
    """The record as JSON, in ASCII, with the line's end.

    `data` is always text. Escapes stand for whatever else could end a line for somebody.
    """
    text = _ENCODER.encode(
        {
            "runId": record.run_id,
            "seq": record.seq,
            "source": record.source,
            "type": record.type,
            "id": record.sse_id,
            "recordedAt": record.recorded_at,
            "data": record.data,
            "digest": record.digest.hex(),
        }
    )
    return f"{text}\n".encode("ascii")


def read_line(line: str | bytes) -> Record:
    """The record of a line of `json_line`, without a `prev_digest`. Unknown keys are passed over.

    Raises `ValueError` saying why it is none.
    """
    fields = _exact(line)
    return _record(fields, _take(fields, "runId", str), _take(fields, "data", str))


def read_shown(line: str | bytes) -> Record:
    """The record of a line of `json_line`, or of `arkor events --json`, as `read_line` has it.

    The latter shows `data` that is JSON as JSON: its text is made again, and no digest fits.
    """
    fields = _loose(line)
    run_id = _take(fields, "runId", str) if "runId" in fields else ""
    return _record(fields, run_id, _as_text(fields))


def _record(fields: Mapping[str, Any], run_id: str, data: str) -> Record:
    source = _take(fields, "source", str)
    if source not in ("stream", "local"):
        raise ValueError("its `source` is neither `stream` nor `local`")
    return Record(
        run_id=run_id,
        seq=_seq(fields),
        source="stream" if source == "stream" else "local",
        type=_take(fields, "type", str),
        sse_id=_take(fields, "id", str, type(None)),
        data=data,
        recorded_at=_take(fields, "recordedAt", str),
        prev_digest=b"",
        digest=_digest(fields),
    )


def _loose(line: str | bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


_FLAT: Final = re.compile(
    rb'[ \t\r]*+\{(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"){0,200}+\}[ \t\r\n]*+', re.DOTALL
)
"""An object of a few texts and numbers: nothing that takes more memory than its line does."""


def _exact(line: str | bytes) -> Mapping[str, Any]:
    text = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    if not _FLAT.fullmatch(text):
        raise ValueError("it is not one JSON object of texts and numbers")
    try:
        return dict(_EXACT.decode(text.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _RefusedError) else "it is not JSON"
        raise ValueError(reason) from error


class _RefusedError(ValueError):
    """JSON that Python would read all the same."""


def _no_constant(constant: str) -> Never:
    raise _RefusedError(f"{constant} is no JSON")


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in fields if names.count(name) > 1)
        raise _RefusedError(f"its `{twice}` is given twice")
    return fields


_EXACT: Final = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_repetition)


def _take(fields: Mapping[str, Any], name: str, *kinds: type) -> Any:
    value = fields.get(name)
    if name not in fields or type(value) not in kinds:
        raise ValueError(f"its `{name}` is {'not a text' if name in fields else 'missing'}")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"its `{name}` holds what is no Unicode text") from error
    return value


def _as_text(fields: Mapping[str, Any]) -> str:
    if "data" not in fields:
        raise ValueError("its `data` is missing")
    data = fields["data"]
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def _seq(fields: Mapping[str, Any]) -> int:
    seq = fields.get("seq")
    if type(seq) is not int or not 0 < seq <= LARGEST_SEQ:
        raise ValueError("its `seq` is not a whole number from 1 up")
    return seq


def _digest(fields: Mapping[str, Any]) -> bytes:
    text = _take(fields, "digest", str)
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("its `digest` is not 64 digits of hexadecimal")
    return bytes.fromhex(text)


class _Echo:
    """A file that gives back what is written to it: `csv` passes that on."""

    def write(self, text: str) -> str:
        return text


_CSV: Final = csv.writer(_Echo())

_FORMULA: Final = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet may run (OWASP, CSV Injection), full-width forms too."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def csv_row(record: Record) -> bytes:
    """The record as a row of CSV (RFC 4180), in UTF-8, with the line's end.

    A text that a spreadsheet would take for a formula gets an apostrophe in front of it, numbers
    apart. A missing id is an empty cell.
    """
    return _row(
        record.run_id,
        record.seq,
        record.source,
        record.type,
        record.sse_id,
        record.recorded_at,
        record.data,
        record.digest.hex(),
    )


def _row(*cells: str | int | None) -> bytes:
    row: Any = _CSV.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in cells])
    return str(row).encode("utf-8", "replace")


def _inert(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


CSV_HEADER: Final = _row("runId", "seq", "source", "type", "id", "recordedAt", "data", "digest")
"""The first row, with its end."""
