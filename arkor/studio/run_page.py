"""What the page of a run says beside the run's report."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from arkor.client.chat import InferResult
from arkor.core.notes import Note, StepCompleted, read_note
from arkor.runner.report_words import json_text
from arkor.runner.timeline import Timeline
from arkor.store.journal import Journal, RunRow

__all__ = ["NOTES", "Answer", "RunView", "answers_of", "kinds_of", "panels_of"]

ENDED: Final = ("completed", "failed", "cancelled", "refused")

NOTES: Final = sorted(kind.TYPE for kind in get_args(Note))
"""The types of record that are noted on this side, for the log's filter."""

MOST_ANSWERS: Final = 60
"""Answers that are shown, the last ones."""

LONGEST: Final = 2_000
"""Characters of an answer that are shown."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run's head. `seconds` is how long it took or takes, if the backend said since when."""

    row: RunRow
    progress: Mapping[str, Any]
    seconds: float | None

    @property
    def ended(self) -> bool:
        """Whether the training is over."""
        return self.row.status in ENDED

    @property
    def owner(self) -> str:
        """Who follows the run: `active`, `idle`, `orphan`, or nobody: an empty text."""
        owner = self.progress["owner"]
        return str(owner["state"]) if owner else ""

    @property
    def cancellable(self) -> bool:
        """Whether the backend can be asked to stop it."""
        return not self.ended and self.row.job_id is not None

    @property
    def resumable(self) -> bool:
        """Whether something is owed of it and nobody is at it."""
        return not self.row.settled and self.owner != "active"

    @property
    def share(self) -> float | None:
        """The part of the steps that are done, from 0 to 1."""
        step, total = self.progress["step"], self.progress["totalSteps"]
        return min(step / total, 1.0) if total else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an adapter answered a callback that was called for record `record`."""

    seq: int
    record: int
    callback: str
    text: str
    failed: bool


def answers_of(journal: Journal, timeline: Timeline) -> Mapping[int, Sequence[Answer]]:
    """The answers that callbacks had from adapters, by the record that they were called for."""
    found: dict[int, list[Answer]] = defaultdict(list)
    asked = [each for each in timeline.deliveries.effects if each.kind.startswith("infer")]
    for effect in asked[-MOST_ANSWERS:]:
        for record in journal.records(timeline.state.run_id, after=effect.seq - 1, limit=1):
            note = read_note(record)
            if isinstance(note, StepCompleted):
                text = effect.error or _text(note.result)
                answer = Answer(
                    effect.seq, effect.record, effect.callback, text[:LONGEST], bool(effect.error)
                )
                found[effect.record].append(answer)
    return found


def kinds_of(timeline: Timeline) -> Sequence[str]:
    """The types of event that came, for the log's filter."""
    return sorted(timeline.state.counts)


def panels_of(metrics: Collection[str]) -> int:
    """How many diagrams a chart has below each other, which says how much room it needs."""
    return 1 + ("learning_rate" in metrics) + ("samples_per_second" in metrics)


def _text(result: Any) -> str:
    """The words of an answer: of a whole one, or of one that came in pieces."""
    if isinstance(result, list):
        return "".join(each for each in result if isinstance(each, str))
    answer = InferResult(result if isinstance(result, Mapping) else {})
    return answer.text or json_text(answer.tool_calls or result)
