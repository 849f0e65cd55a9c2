"""How far a run has come and how fast it goes: figures taken from its records alone."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from arkor.cli.wording import duration
from arkor.core.events import TrainingLog, TrainingStarted, decode
from arkor.core.notes import Resumed, SubmitRequested, Submitted, read_note
from arkor.core.record import Record

__all__ = ["Pace", "observe"]

WINDOW: Final = 12
"""How many of the last reports the rate is taken over."""

DRY_RUN_STEPS: Final = 10
"""How many steps a dry run takes at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run has come, and how fast it goes. `total` and `step` count steps.

    `reports` are the last steps that were reported with their times, in seconds since 1970.
    """

    step: int = 0
    total: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    reports: tuple[tuple[int, float], ...] = ()

    @property
    def rate(self) -> float | None:
        """Steps a second over the last reports."""
        if len(self.reports) < 2:
            return None
        (step, since), (last, until) = self.reports[0], self.reports[-1]
        return (last - step) / (until - since) if until > since and last > step else None

    @property
    def left(self) -> float | None:
        """Seconds to the last step, at this rate."""
        if self.total is None or not self.rate:
            return None
        return max(self.total - self.step, 0) / self.rate

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total}"
        parts = [f"step {self.step}{of}"]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        if self.eval_loss is not None:
            parts.append(f"eval loss {self.eval_loss:.4g}")
        if self.rate:
            parts.append(f"{self.rate:.3g} steps/s")
        if self.left is not None:
            parts.append(f"{duration(self.left)} left")
        return "  ".join(parts)


def observe(pace: Pace, record: Record) -> Pace:
    """The pace after one more record."""
    match read_note(record) or decode(record.type, record.data):
        case SubmitRequested(config=config) | Submitted(job={"config": config}):
            return replace(pace, total=pace.total or _total(config))
        case Resumed():
            return replace(pace, reports=())  # nobody trained faster because nobody looked
        case TrainingStarted(metadata={"totalSteps": int(total)}):
            return replace(pace, total=total)
        case TrainingLog() as log:
            return _advance(pace, log, _time(record))
        case _:
            return pace


def _total(config: Any) -> int | None:
    steps = config.get("maxSteps")
    if not isinstance(steps, int):
        return None
    return min(steps, DRY_RUN_STEPS) if config.get("dryRun") else steps


def _advance(pace: Pace, log: TrainingLog, time: float) -> Pace:
    reports = pace.reports
    if not reports or log.step > reports[-1][0]:
        reports = (*reports, (log.step, time))[-WINDOW:]
    return replace(
        pace,
        step=max(pace.step, log.step),
        loss=pace.loss if log.loss is None else log.loss,
        eval_loss=pace.eval_loss if log.eval_loss is None else log.eval_loss,
        reports=reports,
    )


def _time(record: Record) -> float:
    """When it happened, by the backend's clock if it says: several events may be recorded at once."""
    said = json.loads(record.data).get("timestamp")
    try:
        return datetime.fromisoformat(said).timestamp()
    except (TypeError, ValueError):
        return datetime.fromisoformat(record.recorded_at).timestamp()
