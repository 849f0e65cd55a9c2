"""The metrics of a run as an Arrow table, a batch of rows at a time."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from arkor.core.extras import import_extra
from arkor.core.metrics import MetricRow

if TYPE_CHECKING:
    import pyarrow

__all__ = ["metric_table"]

BATCH: Final = 10_000
"""Rows that are Python objects at a time."""

FIGURES: Final = ("epoch", "loss", "eval_loss", "learning_rate", "samples_per_second")


def metric_table(rows: Iterable[MetricRow]) -> "pyarrow.Table":
    """A column for each field of `MetricRow`, also where there are no rows.

    `seq` and `step` are 64-bit integers (a step beyond them is null), `recorded_at` is a time in
    UTC with microseconds, the figures are doubles. Raises `ConfigError` without pyarrow.
    """
    arrow = import_extra("pyarrow", extra="export")
    whole = [("seq", arrow.int64()), ("recorded_at", arrow.timestamp("us", tz="UTC"))]
    whole += [("step", arrow.int64()), *((name, arrow.float64()) for name in FIGURES)]
    schema, left = arrow.schema(whole), iter(rows)
    batches = []
    while some := list(islice(left, BATCH)):
        batches.append(arrow.record_batch(_columns(some), schema=schema))
    return arrow.Table.from_batches(batches, schema=schema)


def _columns(rows: list[MetricRow]) -> list[list[Any]]:
    return [
        [row.seq for row in rows],
        [datetime.fromisoformat(row.recorded_at) for row in rows],
        [row.step if -(2**63) <= row.step < 2**63 else None for row in rows],
        *([_double(getattr(row, name)) for row in rows] for name in FIGURES),
    ]


def _double(figure: float | None) -> float | None:
    return None if figure is None else float(figure)
