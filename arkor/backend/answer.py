"""An answer's text as its tokens come: whole characters, and nothing from a stop text on."""

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["AnswerText"]


class AnswerText:
    """A streamer for transformers' `generate`; passes each new piece of text to `on_piece`.

    What may be the beginning of a stop text, or of a character, waits for the next token.
    """

    def __init__(
        self, tokenizer: Any, stops: Sequence[str], on_piece: Callable[[str], None]
    ) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._on_piece = on_piece
        self._passed = 0
        self._prompt_came = False
        self.tokens: list[int] = []
        self.text = ""
        self.stopped = False

    def put(self, value: Any) -> None:
        """Take the prompt's tokens, which come first and are no part of the answer, or one more."""
        if not self._prompt_came:
            self._prompt_came = True
            return
        self.tokens.extend(value.tolist())
        self._advance()
        self._pass(len(self.text) if self.stopped else len(self.text) - self._waiting())

    def end(self) -> None:
        """Pass on what waited."""
        self._pass(len(self.text))

    def _advance(self) -> None:
        text = self._tokenizer.decode(
            self.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        ends = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        self.stopped = bool(ends)
        self.text = text[: min(ends)] if ends else text

    def _waiting(self) -> int:
        """How many characters at the end may still become something else."""
        broken = len(self.text) - len(self.text.rstrip("\ufffd"))
        begun = (
            length
            for stop in self._stops
            for length in range(len(stop) - 1, 0, -1)
            if self.text.endswith(stop[:length])
        )
        return max(broken, *begun, 0)

    def _pass(self, until: int) -> None:
        if until > self._passed:
            self._on_piece(self.text[self._passed : until])
            self._passed = until
