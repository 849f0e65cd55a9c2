"""A run's log as a Parquet file, row group by row group."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from arkor.core.extras import import_extra
from arkor.core.record import Record
from arkor.store.moment import microseconds

__all__ = ["parquet"]

GROUP_RECORDS: Final = 50_000
GROUP_BYTES: Final = 16_000_000
"""How much a row group holds at most: as much is in memory at a time."""


def parquet(records: Iterable[Record]) -> Iterator[bytes]:
    """The pieces of the file. Columns as the fields of `Record`, without `prev_digest`.

    `recorded_at` is a time in UTC with microseconds, `digest` 32 bytes; the file is compressed
    with zstd. Raises `ConfigError` without the extra `export`.
    """
    import_extra("pyarrow", extra="export")
    return _pieces(records)


def _pieces(records: Iterable[Record]) -> Iterator[bytes]:
    arrow = import_extra("pyarrow", extra="export")
    files = import_extra("pyarrow.parquet", extra="export")
    schema, file = _schema(arrow), _Pieces()
    with files.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(records):
            writer.write_table(_table(arrow, group, schema))
            yield file.take()
    yield file.take()


class _Pieces:
    """A file that is taken away as it is written."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record.data)
        if size >= GROUP_BYTES or len(group) >= GROUP_RECORDS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _schema(arrow: Any) -> Any:
    word = arrow.dictionary(arrow.int32(), arrow.string())
    fields = {
        "run_id": word,
        "seq": arrow.int64(),
        "source": word,
        "type": word,
        "sse_id": arrow.string(),
        "recorded_at": arrow.timestamp("us", tz="UTC"),
        "data": arrow.string(),
        "digest": arrow.binary(32),
    }
    optional = ("sse_id",)
    return arrow.schema(
        [arrow.field(name, kind, name in optional) for name, kind in fields.items()]
    )


def _table(arrow: Any, group: list[Record], schema: Any) -> Any:
    columns: list[list[Any]] = [
        [each.run_id for each in group],
        [each.seq for each in group],
        [each.source for each in group],
        [each.type for each in group],
        [each.sse_id for each in group],
        [microseconds(each.recorded_at) for each in group],
        [each.data for each in group],
        [each.digest for each in group],
    ]
    arrays = [
        arrow.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=schema)
