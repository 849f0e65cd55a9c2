"""Make the tiny base model that Arkor ships: tokenizer, chat template, weights; no network.

Usage: python scripts/make_tiny_base.py FOLDER [--steps 2200]

A Llama of 4 layers and 0.98 million parameters. It reads this Python's own documentation topics
and the docstrings of its standard library (PSF licence), and generated chats of a help desk that
hold none of the triage example's labels. 2,200 steps take about five minutes on two cores.
"""

import argparse
import ast
import math
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

SEED = 0
VOCABULARY = 1536
HIDDEN = 128
LAYERS = 4
HEADS = 4
FEED_FORWARD = 384
CONTEXT = 512
SEQUENCE = 96
BATCH = 24
CHATS = 12_000
CHAT_SHARE = 0.8
LEARNING_RATE = 3e-3
WARMUP = 20
DOCUMENT_CHARACTERS = 1_500_000

BEGIN, END, PAD, TURN = "<s>", "<|im_end|>", "<pad>", "<|im_start|>"
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

GLOSSARY = {
    "an invoice": "a bill that asks a customer for a payment",
    "a refund": "money that goes back to the customer",
    "a receipt": "a paper that shows a payment",
    "a parcel": "a box that a courier brings to an address",
    "a courier": "a person who delivers a parcel or a package",
    "a password": "a secret word to log in to an account",
    "an account": "the profile of a user, with a name, an email and a password",
    "a login code": "a short number to log in to an account",
    "a crash": "an error that closes the app",
    "an error": "a message that something is broken",
    "a bug": "an error in the app or on a page",
    "an update": "a new version of the app",
    "dark mode": "an option with a dark screen",
    "a widget": "a small view on the phone",
    "a discount": "a lower price on a bill",
    "a plan": "what a customer pays for each month",
    "a tracking number": "a number to find a package",
    "a delivery": "the way of a package to an address",
    "customs": "the office that checks a package at the border",
    "a calendar": "a view with dates",
    "an export": "a file with data from the app, for excel",
    "a report": "a page with numbers and a chart",
    "a font": "the form of the text on the screen",
    "tax": "a part of the price on the invoice",
    "a card": "a way to make a payment",
    "a shortcut": "a key for a button in the menu",
}
_THINGS = (
    "invoice payment refund receipt card price plan bill discount tax money app page screen button "
    "menu editor chart report file upload search settings update error crash password account "
    "login email code profile name phone parcel package box order courier delivery address "
    "tracking number customs dark mode calendar widget keyboard shortcut language option excel "
    "export font api alert project table date"
)
THINGS = _THINGS.split()
TROUBLES = [
    "is not here",
    "is broken",
    "does not work",
    "is wrong",
    "is late",
    "is missing",
    "is locked",
    "was sent to the wrong place",
    "was charged twice",
    "freezes",
    "shows an error",
    "is declined",
    "stops",
    "would be great",
    "would be nice to have",
    "is stuck",
    "arrived damaged",
    "is empty",
    "is too small",
]
REPLIES = [
    "Thank you for your message about the {0}. We will look at it.",
    "I am a small example model. You wrote about the {0}.",
    "Thanks! A colleague will read your note on the {0} soon.",
    "You asked about the {0}. Please tell us more.",
    "We are sorry to hear about the {0}. We will write to you by email.",
]
OPENINGS = [
    "",
    "",
    "Hello, ",
    "Hi team, ",
    "Hi, ",
    "Dear support, ",
    "Good morning, ",
    "Please help: ",
    "Urgent: ",
]
ENDINGS = [
    "",
    ".",
    "!",
    " Thanks!",
    " Please help.",
    " Can you look at it?",
    " It is urgent.",
    " I wait for your answer.",
]
QUESTIONS = ["What is {0}?", "Please explain {0}.", "Tell me what {0} is.", "what does {0} mean"]

Chat = tuple[str, str]


def main() -> None:
    """Make the model and write it to the folder."""
    parser = argparse.ArgumentParser(description="Make the tiny base model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=2200)
    given = parser.parse_args()
    random.seed(SEED)
    torch.manual_seed(SEED)
    dice = random.Random(SEED)
    documents = list(read_documents())
    chats = [make_chat(dice) for _ in range(CHATS)]
    tokenizer = make_tokenizer(documents, chats)
    model = make_model(tokenizer)
    train(model, Texts(tokenizer, documents, chats, dice), given.steps)
    save(model, tokenizer, given.folder)


def read_documents() -> Iterator[str]:
    """Python's documentation topics, and docstrings of the standard library up to a size."""
    import pydoc_data.topics

    size = 0
    for topic in pydoc_data.topics.topics.values():
        text = without_runs_of_blanks(topic)
        size += len(text)
        yield text
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for docstring in docstrings(path):
            size += len(docstring)
            yield without_runs_of_blanks(docstring)
        if size > DOCUMENT_CHARACTERS:
            return


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module that say more than a line."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) > 80:
                yield text


def without_runs_of_blanks(text: str) -> str:
    return re.sub(r"[ \t]+", " ", text)


def make_chat(dice: random.Random) -> Chat:
    """A question and its answer: about a word, a repetition, or a customer's note."""
    if dice.random() < 0.35:
        word, meaning = dice.choice(list(GLOSSARY.items()))
        question = dice.choice(QUESTIONS).format(word)
        return question, f"{word[0].upper() + word[1:]} is {meaning}."
    if dice.random() < 0.15:
        words = " ".join(dice.sample(THINGS, dice.randint(2, 4)))
        return f"Repeat: {words}", words
    thing, other = dice.choice(THINGS), dice.choice(THINGS)
    note = dice.choice(OPENINGS) + make_note(dice, thing, other) + dice.choice(ENDINGS)
    return note, dice.choice(REPLIES).format(thing)


def make_note(dice: random.Random, thing: str, other: str) -> str:
    """What a customer writes."""
    return dice.choice(
        [
            f"the {thing} {dice.choice(TROUBLES)}",
            f"my {thing} {dice.choice(TROUBLES)}",
            f"I have a problem with the {thing}, the {other} {dice.choice(TROUBLES)}",
            f"can you add a {thing}",
            f"please change the {thing}",
            f"I cannot see the {thing} on the {other}",
            f"how do I change my {thing}",
            f"where is my {thing}",
            f"I want a {thing} for the {other}",
            f"after the {thing} the {other} {dice.choice(TROUBLES)}",
        ]
    )


def make_tokenizer(documents: list[str], chats: list[Chat]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the texts, with a chat template."""
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    learned.train_from_iterator(
        documents + [f"{question}\n{answer}" for question, answer in chats],
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[PAD, BEGIN, TURN, END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learned,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[TURN],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast) -> Any:
    """A Llama with random weights."""
    config = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 2,
        head_dim=HIDDEN // HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return AutoModelForCausalLM.from_config(config).train()


class Texts:
    """Documents and chats as two streams of tokens, cut into batches; a chat's row begins one."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        documents: list[str],
        chats: list[Chat],
        dice: random.Random,
    ) -> None:
        encode = tokenizer.backend_tokenizer.encode_batch
        end = [tokenizer.eos_token_id]
        self._dice = dice
        self._documents = torch.tensor([t for of in encode(documents) for t in of.ids + end])
        spoken = [
            f"{TURN}user\n{question}{END}\n{TURN}assistant\n{answer}{END}\n"
            for question, answer in chats
        ]
        tokens: list[int] = []
        starts = []
        for encoded in encode(spoken):
            starts.append(len(tokens))
            tokens += encoded.ids
        self._chats = torch.tensor(tokens)
        self._starts = [start for start in starts if start < len(tokens) - SEQUENCE - 1]

    def batch(self) -> torch.Tensor:
        """One batch, of the shape (BATCH, SEQUENCE)."""
        rows = []
        for row in range(BATCH):
            if row < round(BATCH * CHAT_SHARE):
                stream, at = self._chats, self._dice.choice(self._starts)
            else:
                stream = self._documents
                at = self._dice.randrange(len(stream) - SEQUENCE - 1)
            rows.append(stream[at : at + SEQUENCE])
        return torch.stack(rows)


def train(model: Any, texts: Texts, steps: int) -> None:
    """Train with AdamW, warmed up, then a cosine down to a twentieth of the rate."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=0.05, betas=(0.9, 0.95)
    )
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps)) * 0.95 + 0.05
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARMUP) * cosine
        batch = texts.batch()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}", flush=True)


def save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder that `from_pretrained` reads; the weights in bfloat16."""
    model.eval().to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        max_new_tokens=64,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
