"""Asking models: base models kept in memory, their adapters beside them, answers as they come."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import llguidance.hf
import torch
from llguidance import LLMatcher
from peft import PeftModel
from transformers import GenerationConfig

from arkor.backend.answer import AnswerText
from arkor.backend.constrain import Constraint
from arkor.backend.conversation import readable
from arkor.backend.model import find_model, in_brief, load_model, load_tokenizer, use_cores
from arkor.backend.question import Question
from arkor.backend.steering import Enough, Steered
from arkor.errors import CloudApiError, ConfigError

__all__ = ["Models"]

_BASES: Final = 2
_ADAPTERS: Final = 8


class Models:
    """The base models asked last, at most two, each with its adapters asked last, at most eight."""

    def __init__(self) -> None:
        self._bases: OrderedDict[str, _Base] = OrderedDict()

    def answer(
        self, question: Question, on_piece: Callable[[str], None], cancelled: threading.Event
    ) -> dict[str, Any]:
        """Answer `question`, passing each piece of text on; what the worker sends as `done`.

        Under a constraint the pieces are passed on when the whole answer was found to meet it,
        and those of a tool's call not at all.

        Raises `CloudApiError`: 400 for a model that is not there or a prompt that is too long,
        422 for an adapter that does not fit, or an answer that a constraint makes impossible.
        """
        base = self._base(question)
        prompt = base.prompt(question)
        limit = min(question.max_tokens, base.longest - prompt["input_ids"].shape[1])
        if limit < 1:
            raise CloudApiError(
                400,
                f"the messages have {prompt['input_ids'].shape[1]} tokens, and {question.model} "
                f"reads at most {base.longest} with its answer; send fewer or shorter ones",
                code="context_length_exceeded",
            )
        held: list[str] = []
        heard = held.append if question.constraint else on_piece
        text = AnswerText(base.tokenizer, question.stop, heard)
        steered = base.steered(question.constraint) if question.constraint else None
        with base.wearing(question.adapter) as model, torch.inference_mode():
            model.generate(
                **prompt,
                generation_config=base.settings(question, limit),
                streamer=text,
                stopping_criteria=[Enough(text, cancelled)],
                logits_processor=[steered] if steered else None,
            )
        reason = base.finish_reason(text, cancelled=cancelled.is_set())
        if question.constraint and steered and reason != "cancelled":
            whole = reason == "stop" or steered.finished(text.tokens[-1])
            _check(question, text.text, question.constraint, whole=whole)
        done = _done(reason, text, prompt["input_ids"].shape[1])
        if reason == "cancelled":
            return done
        if question.tool_use:
            calls = question.tool_use.calls(text.text)
            return {**done, "finish_reason": "tool_calls", "text": "", "tool_calls": calls}
        for piece in held:
            on_piece(piece)
        return done

    def _base(self, question: Question) -> "_Base":
        try:
            found = find_model(question.model, question.home)
            if found not in self._bases:
                self._bases[found] = _Base.load(found, question.model)
        except ConfigError as error:
            raise CloudApiError(400, str(error), code="model_not_found") from error
        self._bases.move_to_end(found)
        while len(self._bases) > _BASES:
            self._bases.popitem(last=False)
        return self._bases[found]


@dataclass(slots=True)
class _Base:
    """A base model, and in the same memory the adapters that it can wear."""

    model: Any
    tokenizer: Any
    vocabulary: Any = None
    adapters: OrderedDict[tuple[Path, int], str] = field(default_factory=OrderedDict)
    loaded: int = 0

    @classmethod
    def load(cls, found: str, model_id: str) -> "_Base":
        tokenizer = load_tokenizer(found, model_id=model_id)
        model = load_model(found, model_id=model_id).eval()
        return cls(model, tokenizer)

    @property
    def longest(self) -> int:
        """The most tokens that prompt and answer have together."""
        found: int = getattr(self._config, "max_position_embeddings", 1 << 30)
        return found

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        known = self.model.generation_config.eos_token_id
        known = [known] if isinstance(known, int) else known or []
        return sorted({*known, self.tokenizer.eos_token_id} - {None})

    @property
    def _config(self) -> Any:
        return self.model.config.get_text_config()

    def prompt(self, question: Question) -> Any:
        """The question's messages as the tensors that the model takes."""
        messages = question.messages
        template = self.tokenizer.chat_template
        options: dict[str, Any] = {}
        if question.tool_use and "tools" in template:
            options["tools"] = [dict(tool) for tool in question.tool_use.tools]
        try:
            prompt = self.tokenizer.apply_chat_template(
                readable(messages, template),
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
                **options,
            )
        except Exception as error:
            # A template is the model's own program, and says no with any exception.
            raise CloudApiError(
                400,
                f"the model's chat template refuses these messages: {in_brief(error)}",
                code="invalid_request",
            ) from error
        return prompt.to(self.model.device)

    def settings(self, question: Question, limit: int) -> GenerationConfig:
        """How to pick the next token, and when to end."""
        sampling: dict[str, Any] = {"do_sample": False}
        if question.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": question.temperature,
                "top_p": question.top_p,
                "top_k": 0,
            }
        return GenerationConfig(
            max_new_tokens=limit,
            eos_token_id=self.ends,
            pad_token_id=self.tokenizer.pad_token_id,
            **sampling,
        )

    def steered(self, constraint: Constraint) -> Steered:
        """What keeps the answer within `constraint`."""
        size = self.model.get_output_embeddings().weight.shape[0]
        if self.vocabulary is None:
            self.vocabulary = llguidance.hf.from_tokenizer(
                self.tokenizer, n_vocab=size, eos_token=self.ends
            )
        return Steered(LLMatcher(self.vocabulary, constraint.grammar))

    def finish_reason(self, text: AnswerText, *, cancelled: bool) -> str:
        """Why an answer ended: `stop`, `length` or `cancelled`."""
        if text.stopped or (text.tokens and text.tokens[-1] in self.ends):
            return "stop"
        return "cancelled" if cancelled else "length"

    @contextmanager
    def wearing(self, adapter: Path | None) -> Iterator[Any]:
        """The model with `adapter`, or as it is. Raises `CloudApiError` 422 if it does not fit."""
        use_cores(self.model)
        if adapter is None:
            if isinstance(self.model, PeftModel):
                with self.model.disable_adapter():
                    yield self.model
            else:
                yield self.model
            return
        try:
            name = self._adapter(adapter)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise CloudApiError(
                422,
                f"the adapter {adapter.name} cannot be used: {in_brief(error)}",
                code="bad_adapter",
            ) from error
        self.model.set_adapter(name)
        yield self.model

    def _adapter(self, path: Path) -> str:
        # A folder that was written anew is another adapter.
        key = (path, (path / "adapter_config.json").stat().st_mtime_ns)
        if key not in self.adapters:
            self.loaded += 1
            name = f"adapter{self.loaded}"
            if isinstance(self.model, PeftModel):
                self.model.load_adapter(str(path), adapter_name=name)
            else:
                self.model = PeftModel.from_pretrained(self.model, str(path), adapter_name=name)
            self.model.eval()
            self.adapters[key] = name
        self.adapters.move_to_end(key)
        while len(self.adapters) > _ADAPTERS:
            self.model.delete_adapter(self.adapters.popitem(last=False)[1])
        return self.adapters[key]


def _check(question: Question, text: str, constraint: Constraint, *, whole: bool) -> None:
    if fault := constraint.fault(text) or (None if whole else "it was cut off"):
        raise CloudApiError(
            422,
            f"the answer does not meet its constraint within maxTokens "
            f"{question.max_tokens}: {fault}; a larger maxTokens may help",
            code="constraint_not_met",
        )


def _done(reason: str, text: AnswerText, prompt: int) -> dict[str, Any]:
    return {
        "finish_reason": reason,
        "text": text.text,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": len(text.tokens),
            "total_tokens": prompt + len(text.tokens),
        },
    }
