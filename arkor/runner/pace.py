"""How far a run has come and how fast it goes: figures taken from what is recorded of it alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from arkor.core.events import Event, TrainingLog, TrainingStarted, decode
from arkor.core.notes import Resumed, SubmitRequested, Submitted, read_note
from arkor.core.record import Record
from arkor.runner.wording import duration, sparkline

__all__ = ["Pace", "advance", "moment", "observe", "steps_of"]

WINDOW: Final = 12
"""How many of the last reports the rate is taken over."""

CURVE: Final = 24
"""How many of the last losses the curve shows."""

DRY_RUN_STEPS: Final = 10
"""How many steps a dry run takes at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run has come, and how fast it goes. `total` and `step` count steps.

    `reports` are the last steps that were reported with their times, in seconds since 1970,
    `losses` the last losses.
    """

    step: int = 0
    total: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    reports: tuple[tuple[int, float], ...] = ()
    losses: tuple[float, ...] = ()

    @property
    def curve(self) -> str:
        """The course of the last losses, in a word."""
        return sparkline(self.losses)

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

    def rested(self) -> "Pace":
        """The same place with no rate yet: nobody trained faster because nobody looked."""
        return replace(self, reports=())

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
    """The pace after one more record of the log."""
    match read_note(record):
        case SubmitRequested(config=config) | Submitted(job={"config": dict() as config}):
            return replace(pace, total=pace.total or steps_of(config))
        case Resumed():
            return pace.rested()
    event = decode(record.type, record.data)
    if not isinstance(event, TrainingLog):
        return advance(pace, event, 0)
    return advance(pace, event, moment(json.loads(record.data), record.recorded_at))


def advance(pace: Pace, event: Event | None, time: float) -> Pace:
    """The pace after one more event, which happened at `time`, in seconds since 1970."""
    match event:
        case TrainingStarted(metadata={"totalSteps": int(total)}):
            return replace(pace, total=total)
        case TrainingLog():
            return _further(pace, event, time)
        case _:
            return pace


def steps_of(config: Mapping[str, Any]) -> int | None:
    """How many steps a job's config asks for, if it says."""
    steps = config.get("maxSteps")
    if not isinstance(steps, int):
        return None
    return min(steps, DRY_RUN_STEPS) if config.get("dryRun") else steps


def moment(payload: Mapping[str, Any], recorded_at: str) -> float:
    """When an event happened, in seconds since 1970.

    By the backend's clock if it says: several events may be recorded at once.
    """
    said = payload.get("timestamp")
    try:
        return datetime.fromisoformat(said).timestamp()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return datetime.fromisoformat(recorded_at).timestamp()


def _further(pace: Pace, log: TrainingLog, time: float) -> Pace:
    reports = pace.reports
    if not reports or log.step > reports[-1][0]:
        reports = (*reports, (log.step, time))[-WINDOW:]
    return replace(
        pace,
        step=max(pace.step, log.step),
        loss=pace.loss if log.loss is None else log.loss,
        eval_loss=pace.eval_loss if log.eval_loss is None else log.eval_loss,
        reports=reports,
        losses=pace.losses if log.loss is None else (*pace.losses, log.loss)[-CURVE:],
    )
