"""Lessons as tokens, with a mark on those the model is to learn."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from arkor.backend.conversation import Conversation, readable
from arkor.backend.rows import Lesson

__all__ = ["IGNORED", "Sample", "encode"]

IGNORED: Final = -100
"""The label of a token that takes no part in the loss."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sequence's token ids, and for each its own id again if it is learned, else `IGNORED`."""

    input_ids: list[int]
    labels: list[int]


def encode(
    lessons: Iterable[Lesson], tokenizer: Any, *, max_length: int, responses_only: bool
) -> list[Sample]:
    """The samples of `lessons`, cut at `max_length` tokens; those with nothing to learn left out.

    With `responses_only` only the assistant's turns are learned, each up to and including the
    mark that ends it. Plain text is learned whole in any case.
    """
    samples = (
        Sample(sample.input_ids[:max_length], sample.labels[:max_length])
        for lesson in lessons
        for sample in _samples(lesson, tokenizer, responses_only)
    )
    return [s for s in samples if any(label != IGNORED for label in s.labels[1:])]


def _samples(lesson: Lesson, tokenizer: Any, responses_only: bool) -> Iterator[Sample]:
    if isinstance(lesson, str):
        yield _whole([*tokenizer(lesson)["input_ids"], tokenizer.eos_token_id])
        return
    conversation = readable(lesson, tokenizer.chat_template)
    if responses_only:
        yield from _answers(conversation, tokenizer)
    else:
        yield _whole(_ids(conversation, tokenizer))


def _answers(conversation: Conversation, tokenizer: Any) -> Iterator[Sample]:
    """One sample for all answers, or one for each if earlier turns look different later on.

    Some templates drop from old turns what they show of the last one (a model's reasoning, say).
    """
    ids = _ids(conversation, tokenizer)
    spans = []
    for turn, message in enumerate(conversation):
        if message["role"] == "assistant":
            asked = _ids(conversation[:turn], tokenizer, asking=True)
            told = _ids(conversation[: turn + 1], tokenizer)
            spans.append((asked, told))
    if all(ids[: len(told)] == told for _, told in spans):
        yield _learning(ids, [(_common(asked, told), len(told)) for asked, told in spans])
    else:
        for asked, told in spans:
            yield _learning(told, [(_common(asked, told), len(told))])


def _ids(conversation: Conversation, tokenizer: Any, *, asking: bool = False) -> list[int]:
    if not conversation:
        return []
    ids: list[int] = tokenizer.apply_chat_template(
        conversation, tokenize=True, return_dict=False, add_generation_prompt=asking
    )
    return ids


def _learning(ids: list[int], spans: Sequence[tuple[int, int]]) -> Sample:
    labels = [IGNORED] * len(ids)
    for start, end in spans:
        labels[start:end] = ids[start:end]
    return Sample(ids, labels)


def _whole(ids: list[int]) -> Sample:
    return Sample(ids, list(ids))


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """The length of the beginning that both have in common."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
