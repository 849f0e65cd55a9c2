"""How far a run has come, from the beginning and the end of its log: quick, however long it is."""

import math
from itertools import chain
from typing import Any, Final

from arkor.core.state import RunState
from arkor.runner.pace import Pace, observe, steps_of
from arkor.runner.shapes import lease_of, run_json
from arkor.store.journal import Journal, RunRow
from arkor.studio.folds import folded

__all__ = ["with_progress"]

BEGINNING: Final = 12
"""Records among which is the event that says how many steps there are to be."""

END: Final = 300
"""Records over which the rate is measured and the curve of the loss is drawn."""

CURVE: Final = 60
"""Points of the curve."""


def with_progress(journal: Journal, row: RunRow) -> dict[str, Any]:
    """The run as listed, and how far it is.

    `step`, `totalSteps`, `loss`, `evalLoss`, `secondsLeft` and `rate` (steps a second) are null
    where nothing says so; `losses` are the last ones, and `error` is the backend's own.
    """
    listed = run_json(row, lease_of(journal, row))
    if row.pruned:
        return listed | _said(Pace(), []) | {"error": None, "startedAt": None, "endedAt": None}
    state = folded(journal, row.run_id)
    pace, losses = _pace(journal, state)
    job = state.job
    return (
        listed
        | _said(pace, losses)
        | {
            "error": job and job.error,
            "startedAt": job and job.started_at,
            "endedAt": job and job.completed_at,
        }
    )


def _said(pace: Pace, losses: list[float]) -> dict[str, Any]:
    return {
        "step": pace.step,
        "totalSteps": pace.total,
        "loss": pace.loss,
        "evalLoss": pace.eval_loss,
        "rate": pace.rate,
        "secondsLeft": pace.left,
        "losses": losses,
    }


def _pace(journal: Journal, state: RunState) -> tuple[Pace, list[float]]:
    pace = Pace(total=steps_of(state.config), loss=state.latest.get("loss"))
    losses: list[float] = []
    since = max(state.records - END, BEGINNING)
    beginning = journal.records(state.run_id, limit=BEGINNING)
    end = journal.records(state.run_id, after=since, limit=END)
    for record in chain(beginning, end):
        before, pace = pace, observe(pace, record)
        if pace.losses is not before.losses and math.isfinite(pace.losses[-1]):
            losses.append(pace.losses[-1])
    return pace, losses[-CURVE:]
