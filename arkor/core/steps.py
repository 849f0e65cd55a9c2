"""The memoised side effects of callbacks: what identifies one, and which a log holds."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from arkor.core.notes import CallbackCompleted, StepCompleted, read_note
from arkor.core.record import Record

__all__ = ["CallId", "Step", "StepKind", "attempts_in", "digest_arguments", "steps_in"]

StepKind = Literal["once", "infer", "cancel"]

CallId = tuple[int, str, str]
"""A call: the record's seq, the consumer's name, the callback's name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One side effect, as asked for or as recorded; what it came to does not tell two apart.

    `error` is what it raised instead of its `result`: `type`, `message`, perhaps `status`.
    """

    kind: StepKind
    key: str
    arguments: str
    result: Any = field(default=None, compare=False)
    error: Mapping[str, Any] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r} (arguments {self.arguments[:12]})"


def digest_arguments(*given: Any, **named: Any) -> str:
    """A hex digest of a step's arguments: their JSON, and for what JSON cannot carry its type."""
    form = json.dumps(_plain([given, named]), ensure_ascii=False, default=_name_of_type)
    return hashlib.sha256(form.encode("utf-8", "surrogatepass")).hexdigest()


def steps_in(records: Iterable[Record]) -> dict[CallId, list[Step]]:
    """The steps that the log holds for each call, in the order in which it asked for them."""
    found: dict[CallId, list[tuple[int, Step]]] = {}
    for record in records:
        note = read_note(record) if record.type == StepCompleted.TYPE else None
        if isinstance(note, StepCompleted):
            kind: Any = note.kind
            step = Step(kind, note.key, note.arguments, note.result, note.error)
            call = (note.record, note.consumer, note.callback)
            found.setdefault(call, []).append((note.place, step))
    return {
        call: [step for _, step in sorted(steps, key=lambda each: each[0])]
        for call, steps in found.items()
    }


def attempts_in(records: Iterable[Record]) -> dict[CallId, int]:
    """Which attempt finished a call, for those that needed more than one."""
    found: dict[CallId, int] = {}
    for record in records:
        note = read_note(record) if record.type == CallbackCompleted.TYPE else None
        if isinstance(note, CallbackCompleted) and note.attempt > 1 and note.callback:
            found[(note.record, note.consumer, note.callback)] = note.attempt
    return found


def _plain(value: object) -> object:
    """The same for JSON, with the entries of each mapping in the order of its keys' texts."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if all(isinstance(key, str) for key in value):
        return {key: _plain(value[key]) for key in sorted(value)}
    # JSON would take the keys 1 and "1" for the same, and knows no tuples.
    texts = [(json.dumps(key, default=_name_of_type), item) for key, item in value.items()]
    return [[text, _plain(item)] for text, item in sorted(texts, key=lambda each: each[0])]


def _name_of_type(value: object) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
