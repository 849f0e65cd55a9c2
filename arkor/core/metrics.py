"""The metrics of a run as a series: one row for each `training.log` of its log."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arkor.core.events import TrainingLog, decode
from arkor.core.record import Record

__all__ = ["MetricRow", "metric_rows"]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The figures of one `training.log`, and which record holds it. One not reported is `None`.

    `recorded_at` is RFC 3339, UTC. `loss` and `eval_loss` are as the backend has them, and
    infinite where it said so; `samples_per_second` is its throughput.
    """

    seq: int
    recorded_at: str
    step: int
    epoch: float | None
    loss: float | None
    eval_loss: float | None
    learning_rate: float | None
    samples_per_second: float | None


def metric_rows(records: Iterable[Record], job_id: str | None = None) -> Iterator[MetricRow]:
    """The rows of a log, or of a part of it, in order; streamed.

    Every `training.log` counts, also one that was sent again with other bytes, or came after the
    end. What is no such event, or is one of another job than `job_id`, has no row. Figures that
    this release does not know are in the records' `data` alone.
    """
    for record in records:
        if record.source != "stream" or record.type != "training.log":
            continue
        event = decode(record.type, record.data, job_id)
        if isinstance(event, TrainingLog):
            yield MetricRow(
                seq=record.seq,
                recorded_at=record.recorded_at,
                step=event.step,
                epoch=event.epoch,
                loss=event.loss,
                eval_loss=event.eval_loss,
                learning_rate=event.learning_rate,
                samples_per_second=event.samples_per_second,
            )
