"""Stopping a run that no longer gets better, or has gone wrong."""

import math
from typing import Literal

from arkor.errors import ConfigError
from arkor.runner.contexts import LogContext

__all__ = ["EarlyStopping"]

Metric = Literal["loss", "eval_loss"]


class EarlyStopping:
    """Asks the backend to cancel a run by its figures; `wait()` then returns `cancelled`.

    It stops when `metric` has not fallen by more than `min_delta` below its best value for
    `patience` reports in a row, when it rises above `ceiling`, or when it is not a finite
    number. What is `None` is not looked at. It asks once. State is rebuilt from the log after a
    restart. Make one for each trainer.
    """

    replays = True

    def __init__(
        self,
        patience: int | None = None,
        min_delta: float = 0.0,
        ceiling: float | None = None,
        metric: Metric = "loss",
        *,
        name: str = "early-stopping",
    ) -> None:
        if patience is not None and patience < 1:
            raise ConfigError(f"patience must be at least 1, not {patience}", field="patience")
        if min_delta < 0:
            raise ConfigError(f"min_delta must not be negative, not {min_delta}", field="min_delta")
        if metric not in ("loss", "eval_loss"):
            raise ConfigError(f"metric must be loss or eval_loss, not {metric!r}", field="metric")
        self.name = name
        self.patience = patience
        self.min_delta = min_delta
        self.ceiling = ceiling
        self.metric = metric
        self.best = math.inf
        self.reports_since = 0
        self.reason: str | None = None
        self._asked = False

    async def on_log(self, ctx: LogContext) -> None:
        """Look at one report."""
        value = ctx.loss if self.metric == "loss" else ctx.eval_loss
        if value is None or self._asked:
            return
        self.reason = self.reason or self._judge(value, ctx.step)
        if self.reason is not None:
            # A call that only rebuilds state recalls, and asks nobody: then the next one asks.
            self._asked = await ctx.request_cancel(self.reason)

    def _judge(self, value: float, step: int) -> str | None:
        if not math.isfinite(value):
            return f"{self.metric} is {value} at step {step}"
        if self.ceiling is not None and value > self.ceiling:
            return f"{self.metric} {value:g} is above {self.ceiling:g} at step {step}"
        if value < self.best - self.min_delta:
            self.best, self.reports_since = value, 0
            return None
        self.reports_since += 1
        if self.patience is not None and self.reports_since >= self.patience:
            return (
                f"{self.metric} has not fallen below {self.best:g} for {self.reports_since} "
                f"reports, until step {step}"
            )
        return None
