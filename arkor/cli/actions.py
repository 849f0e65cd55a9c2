"""What GitHub Actions shows of a run: a table in the job's summary, and a line for a failure.

The forms are those of "Workflow commands for GitHub Actions" in GitHub's documentation.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arkor.cli.render import note
from arkor.core.wire import Job
from arkor.runner.pace import Pace
from arkor.runner.wording import clean, duration

__all__ = ["Outcome", "tell_actions"]

LONGEST: Final = 500
"""Characters of a text from elsewhere that are shown."""

NO_JOB: Final = "no job"
"""In place of a status, where the backend has not been seen to accept the run."""

_PLAIN: Final = re.compile(r"[^\w .,+/-]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How following a run went. `problem` says in words why it did not complete.

    `run_id` is `None` if nothing was recorded.
    """

    run_id: str | None
    job: Job | None
    pace: Pace
    journal: Path
    problem: str = ""
    ended: bool = True

    @property
    def status(self) -> str:
        """The job's status, as it was last seen."""
        return self.job.status if self.job else NO_JOB


def tell_actions(outcome: Outcome) -> None:
    """Show an outcome in the workflow's run; elsewhere than in GitHub Actions do nothing."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write("\n".join(_summary(outcome)) + "\n")
        except OSError as error:  # the run is worth more than its summary
            note(f"GITHUB_STEP_SUMMARY cannot be written: {error}")
    if os.environ.get("GITHUB_ACTIONS") == "true" and outcome.problem:
        title = _property(f"Arkor run {_name(outcome)}")
        note(f"::error title={title}::{_data(outcome.problem)}")


def _summary(outcome: Outcome) -> Iterable[str]:
    marks = {"completed": "✅", "failed": "❌", "cancelled": "⏹️", NO_JOB: "❌"}
    mark = marks.get(outcome.status, "⏳")
    yield f"### {mark} {_cell(_name(outcome))}: {_cell(outcome.status)}"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, value in _facts(outcome):
        if value not in ("", None):
            yield f"| {name} | {_cell(str(value))} |"
    yield ""
    run_id = outcome.run_id
    if run_id is None:
        yield "This start has submitted nothing."
        return
    if outcome.job is None:
        yield "The backend has not been seen to accept the run."
    elif not outcome.ended:
        yield (
            f"The run goes on and may use its GPU: `arkor resume {run_id}` follows it to its end, "
            f"`arkor cancel {run_id}` stops it."
        )
    yield (
        f"Look further: `arkor show {run_id}`, `arkor events {run_id}`, `arkor report {run_id}`. "
        f"The journal is `{clean(str(outcome.journal))}` on this runner; "
        "`arkor --journal FILE …` reads a copy that was kept."
    )
    yield ""


def _facts(outcome: Outcome) -> Sequence[tuple[str, object]]:
    pace, job = outcome.pace, outcome.job
    step = f"{pace.step}" if pace.total is None else f"{pace.step} of {pace.total}"
    return (
        ("run", outcome.run_id),
        ("job", job and job.id),
        ("status", outcome.status),
        ("step", step if pace.step else ""),
        ("last loss", _figure(pace.loss)),
        ("last eval loss", _figure(pace.eval_loss)),
        ("duration", _duration(job)),
        ("problem", outcome.problem),
    )


def _name(outcome: Outcome) -> str:
    return outcome.job.name if outcome.job else outcome.run_id or "training"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _duration(job: Job | None) -> str:
    """From the start of the training to its end, by the backend's clock."""
    if job is None or job.completed_at is None:
        return ""
    try:
        since, until = map(
            datetime.fromisoformat, (job.started_at or job.created_at, job.completed_at)
        )
        return duration((until - since).total_seconds())
    except (TypeError, ValueError):  # texts of the backend's, of whatever form
        return ""


def _cell(text: str) -> str:
    """A text from elsewhere as Markdown that is nothing but this text."""
    return _PLAIN.sub(lambda found: f"&#{ord(found[0])};", clean(text)[:LONGEST])


def _data(text: str) -> str:
    return clean(text)[:LONGEST].replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
