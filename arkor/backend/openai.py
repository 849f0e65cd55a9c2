"""A chat answer in OpenAI's form: one completion, or chunks of it in a stream."""

import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from arkor.backend.chat_process import Answer

__all__ = ["DONE", "Completion", "data_frame"]

DONE: Final = b"data: [DONE]\n\n"


def data_frame(value: Any) -> bytes:
    """One unnamed event of a stream, as OpenAI sends them."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer of `model`, named and dated once for all of its chunks."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, done: Answer) -> dict[str, Any]:
        """The `chat.completion` of an answer that is done."""
        calls = done.get("tool_calls")
        message: dict[str, Any] = {"role": "assistant", "content": done.get("text")}
        if calls:
            message |= {"content": None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": done["finish_reason"]}
        whole = {**self._head("chat.completion"), "choices": [choice]}
        return whole | ({"usage": done["usage"]} if "usage" in done else {})

    async def frames(
        self, first: Answer, rest: AsyncGenerator[Answer, None]
    ) -> AsyncIterator[bytes]:
        """The `chat.completion.chunk` frames of an answer as it comes, then `[DONE]`.

        An error in the middle is the last frame, `{"error": {...}}`, without `[DONE]`.
        """
        async with aclosing(rest):
            yield self._chunk({"role": "assistant", "content": ""})
            line = first
            while "delta" in line:
                yield self._chunk({"content": line["delta"]})
                line = await anext(rest)
            if "error" in line:
                yield data_frame({"error": line["error"]})
            else:
                yield self._last(line["done"]) + DONE

    def _last(self, done: Answer) -> bytes:
        frames = b""
        if calls := done.get("tool_calls"):
            numbered = [{"index": index, **call} for index, call in enumerate(calls)]
            frames = self._chunk({"tool_calls": numbered})
        return frames + self._chunk({}, done["finish_reason"], done.get("usage"))

    def _chunk(self, delta: Answer, reason: str | None = None, usage: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return data_frame(chunk if usage is None else chunk | {"usage": usage})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
