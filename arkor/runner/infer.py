"""Asking a trained adapter from inside a callback; every answer is recorded and recalled."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from arkor.client.chat import InferResult, build_chat_body, chat, stream_chat
from arkor.core.wire import Adapter
from arkor.runner.effects import Call
from arkor.runner.engine import iterate, on_engine
from arkor.runner.session import Session

__all__ = ["Infer"]


@dataclass(frozen=True, slots=True)
class Infer:
    """Asks one adapter: `await infer(messages)`, or `async for delta in infer.stream(messages)`.

    Options are those of the backend's chat: `temperature`, `top_p`, `max_tokens`, `tools`,
    `tool_choice`, `response_format`, `structured_outputs`. An answer that is on record is given
    again without asking. Raises `ConfigError` for constraints that exclude each other,
    `CloudApiError` for a refusal.
    """

    adapter: Adapter
    _call: Call = field(repr=False)
    _session: Session | None = field(repr=False)

    async def __call__(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
        structured_outputs: Mapping[str, Any] | None = None,
    ) -> InferResult:
        """Ask, and wait for the whole answer."""
        body = build_chat_body(
            messages,
            adapter=self.adapter,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            structured_outputs=structured_outputs,
            stream=False,
        )

        async def ask() -> Mapping[str, Any]:
            return await on_engine(self._ask(body))

        return InferResult(await self._call.take(self._call.numbered("infer", body), ask))

    def stream(
        self, messages: Sequence[Mapping[str, Any]], **options: Any
    ) -> AsyncGenerator[str, None]:
        """Ask, and yield the answer's text piece by piece. `options` as for the call."""
        body = build_chat_body(messages, adapter=self.adapter, stream=True, **options)
        step = self._call.numbered("infer", body)
        pieces = self._call.stream(step, lambda: iterate(self._deltas(body)))
        return self._call.opened(pieces)

    async def _ask(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._session is not None, "an offline replay recalls, and never asks"
        async with self._session.connect() as api:
            return (await chat(api, self._session.scope, body)).body

    async def _deltas(self, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        assert self._session is not None, "an offline replay recalls, and never asks"
        async with (
            self._session.connect() as api,
            aclosing(stream_chat(api, self._session.scope, body)) as deltas,
        ):
            async for delta in deltas:
                yield delta
