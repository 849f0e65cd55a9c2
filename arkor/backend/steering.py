"""What generation is steered by: a grammar's tokens only, and an end before its time."""

import threading
from typing import Any

import torch
from llguidance import LLMatcher
from transformers import LogitsProcessor, StoppingCriteria

from arkor.backend.answer import AnswerText
from arkor.errors import CloudApiError

__all__ = ["Enough", "Steered"]


class Steered(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Leaves only the tokens that keep to a grammar.

    llguidance's own way to apply its mask compiles a kernel first, which takes seconds and a
    C++ compiler.
    """

    def __init__(self, matcher: LLMatcher) -> None:
        if matcher.is_error():
            raise CloudApiError(
                400, f"the constraint cannot be followed: {matcher.get_error()}"[:300]
            )
        self._matcher = matcher
        self._begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores of the next token, those that leave the grammar at minus infinity."""
        if self._begun:
            self._matcher.consume_token(int(input_ids[0, -1]))
        self._begun = True
        # One byte a token: 0 for one that is not allowed.
        bias = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)
        forbidden = (bias[: scores.shape[-1]] == 0).to(scores.device)
        return scores.masked_fill(forbidden, float("-inf"))

    def finished(self, last: int) -> bool:
        """Whether an answer that ends with the token `last` is a whole one."""
        return self._matcher.is_stopped() or bool(
            self._matcher.consume_token(last) and self._matcher.is_accepting()
        )


class Enough(StoppingCriteria):  # type: ignore[misc]  # transformers is untyped
    """Ends an answer at a stop text, or when nobody wants it any more."""

    def __init__(self, text: AnswerText, cancelled: threading.Event) -> None:
        self._text = text
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Whether each row, of which there is one, ends here."""
        enough = self._text.stopped or self._cancelled.is_set()
        return torch.full((input_ids.shape[0],), enough, device=input_ids.device)
