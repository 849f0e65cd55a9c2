"""A run's log as a file of one of the formats that others read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from arkor.core.cloudevents import cloud_event
from arkor.core.lines import CSV_HEADER, csv_row, json_line
from arkor.core.record import Record
from arkor.errors import ConfigError
from arkor.store.parquet import parquet

__all__ = ["FORMATS", "export"]

Format = Callable[[Iterable[Record]], Iterator[bytes]]


def _jsonl(records: Iterable[Record]) -> Iterator[bytes]:
    return map(json_line, records)


def _csv(records: Iterable[Record]) -> Iterator[bytes]:
    return chain([CSV_HEADER], map(csv_row, records))


def _cloudevents(records: Iterable[Record]) -> Iterator[bytes]:
    return map(cloud_event, records)


FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": parquet,
    "cloudevents": _cloudevents,
}


def export(records: Iterable[Record], format: str) -> Iterator[bytes]:
    """The pieces of the file, in order, as `records` come.

    Raises `ConfigError` for an unknown format, or one that needs what is not installed.
    """
    write = FORMATS.get(format)
    if write is None:
        known = ", ".join(FORMATS)
        raise ConfigError(
            f"there is no export format {format!r}; take one of {known}", field="format"
        )
    return write(records)
