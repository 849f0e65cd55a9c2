"""A dataset's rows in every format, split in two, and as tokens."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from arkor.backend.conversation import readable
from arkor.backend.dataset import load_rows, read_jsonl
from arkor.backend.encoding import IGNORED, encode
from arkor.backend.model import TINY, find_model
from arkor.backend.options import Options
from arkor.backend.plan import Plan
from arkor.backend.rows import FORMATS, detect, lessons
from arkor.errors import ConfigError

SHA = "ab" * 32
ASKED = {"role": "user", "content": "q"}
ANSWERED = {"role": "assistant", "content": "a"}


def options(**config: Any) -> Options:
    source = {"type": "file", "sha256": SHA, "name": "rows.jsonl"}
    return Options.read({"model": TINY, "datasetSource": source, **config})


def put(home: Path, rows: Sequence[object]) -> None:
    path = home / "datasets" / f"{SHA}.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("row", "taught"),
    [
        ({"messages": [ASKED, ANSWERED], "id": 1}, [ASKED, ANSWERED]),
        ({"prompt": "q", "completion": "a"}, [ASKED, ANSWERED]),
        ({"prompt": [ASKED], "completion": [ANSWERED]}, [ASKED, ANSWERED]),
        ({"instruction": "q", "output": "a"}, [ASKED, ANSWERED]),
        ({"instruction": "q", "input": "", "output": "a"}, [ASKED, ANSWERED]),
        (
            {"instruction": "q", "input": "i", "output": "a"},
            [{"role": "user", "content": "q\ni"}, ANSWERED],
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            [ASKED, ANSWERED],
        ),
        ({"text": "plain"}, "plain"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, ANSWERED]},
            [ASKED, ANSWERED],
        ),
    ],
)
def test_the_columns_show_the_format(row: dict[str, Any], taught: object) -> None:
    assert lessons([row]) == [taught]
    assert lessons([row], detect(row)) == [taught]


@pytest.mark.parametrize("form", sorted(set(FORMATS.values())))
def test_a_row_that_does_not_fit_is_named(form: Any) -> None:
    good = {
        "messages": {"messages": [ASKED, ANSWERED]},
        "prompt-completion": {"prompt": "q", "completion": "a"},
        "alpaca": {"instruction": "q", "output": "a"},
        "sharegpt": {"conversations": [{"from": "gpt", "value": "a"}]},
        "text": {"text": "t"},
    }[form]
    with pytest.raises(ConfigError, match="row 2 of the dataset does not fit datasetFormat") as no:
        lessons([good, {"other": 1}], form)
    assert no.value.field == "datasetFormat"


def test_columns_of_no_format_are_named() -> None:
    with pytest.raises(ConfigError, match=r"columns \(a, b\) fit no datasetFormat"):
        lessons([{"a": 1, "b": 2}])


def test_a_conversation_without_an_answer_teaches_nothing() -> None:
    with pytest.raises(ConfigError, match="no message of the assistant"):
        lessons([{"messages": [ASKED]}])


def test_calls_of_tools_are_told_in_words_where_a_template_has_none() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        ASKED,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    assert readable(turns, "{{ message.tool_calls }}") == turns
    assert readable(turns, "{{ message.content }}")[1:] == [
        {"role": "assistant", "content": '{"name": "f", "arguments": "{}"}'},
        {"role": "user", "content": "Result of c: 42"},
    ]


def test_json_lines_may_begin_with_a_mark_and_hold_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\n{"text": "b"}')
    assert read_jsonl(path) == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{}\nno", "line 2 of the dataset is not JSON"),
        (b"[1]", "line 1 of the dataset is no JSON object but list"),
        (b"{}\n" * 9000 + b'{"text": "\xff"}', "line 9001 of the dataset is not UTF-8.*byte 11"),
    ],
)
def test_what_is_not_json_lines_is_named(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=said):
        read_jsonl(path)


@pytest.mark.parametrize(
    ("config", "train", "evaluate"),
    [
        ({}, range(40), []),
        ({"evalSteps": 5}, range(36), range(36, 40)),
        ({"evalSteps": 0, "datasetSplit": {"eval": 5}}, range(40), []),
        ({"datasetSplit": {"eval": 5}}, range(35), range(35, 40)),
        ({"datasetSplit": {"train": "train", "eval": 0.25}}, range(30), range(30, 40)),
        ({"datasetSplit": "train"}, range(40), []),
    ],
)
def test_rows_for_evaluation_are_held_out_from_the_end(
    config: dict[str, Any], train: Sequence[int], evaluate: Sequence[int], tmp_path: Path
) -> None:
    put(tmp_path, [{"text": str(n)} for n in range(40)])
    rows = load_rows(options(**config), home=tmp_path, jobdir=tmp_path)
    assert [row["text"] for row in rows.train] == [str(n) for n in train]
    assert [row["text"] for row in rows.evaluate] == [str(n) for n in evaluate]


def test_a_dry_run_takes_fifty_rows(tmp_path: Path) -> None:
    put(tmp_path, [{"text": str(n)} for n in range(60)])
    rows = load_rows(options(dryRun=True, evalSteps=1), home=tmp_path, jobdir=tmp_path)
    assert (len(rows.train), len(rows.evaluate)) == (45, 5)


@pytest.mark.parametrize(
    ("rows", "config", "said"),
    [
        ([], {}, "no rows"),
        ([{"text": "a"}], {"evalSteps": 5}, "1 of 1 rows are to be held out"),
        ([{"text": "a"}], {"datasetSplit": {"eval": "test"}}, "only the split 'train'"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(
    rows: list[object], config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    put(tmp_path, rows)
    with pytest.raises(ConfigError, match=said):
        load_rows(options(**config), home=tmp_path, jobdir=tmp_path)


def test_a_model_is_the_shipped_one_or_placed_or_a_path_or_a_hub_name(tmp_path: Path) -> None:
    assert Path(find_model(TINY, tmp_path), "model.safetensors").is_file()
    placed = tmp_path / "models" / "me" / "mine"
    placed.mkdir(parents=True)
    (placed / "config.json").write_text("{}")
    assert find_model("me/mine", tmp_path) == str(placed)
    assert find_model(str(placed), tmp_path / "other") == str(placed)
    assert find_model("owner/name-1.5B", tmp_path) == "owner/name-1.5B"
    elsewhere = tmp_path / "elsewhere"
    placed.rename(elsewhere)
    placed.symlink_to(elsewhere)
    assert find_model("me/mine", tmp_path) == str(elsewhere)
    (elsewhere / "config.json").unlink()
    with pytest.raises(ConfigError, match=f"config.json at {elsewhere}"):
        find_model("me/mine", tmp_path)
    for unfit in ("../models", "../models/me/mine", "a/b/c", str(tmp_path), "", "."):
        with pytest.raises(ConfigError):
            find_model(unfit, tmp_path)


@pytest.mark.parametrize(
    ("config", "plan"),
    [
        ({}, Plan(steps=50, warmup=0, log_every=5, save_every=10, eval_every=0)),
        ({"numTrainEpochs": 0.5}, Plan(25, 0, 3, 5, 0)),
        ({"maxSteps": 3, "numTrainEpochs": 9}, Plan(3, 0, 1, 1, 0)),
        ({"maxSteps": 9000}, Plan(9000, 0, 10, 500, 0)),
        ({"warmupSteps": 0.1, "saveSteps": 0.5, "evalSteps": 7}, Plan(50, 5, 5, 25, 7)),
        ({"datasetSplit": {"eval": 4}, "saveSteps": 20}, Plan(50, 0, 5, 20, 20)),
        ({"dryRun": True, "saveSteps": 0}, Plan(10, 0, 1, 0, 0)),
    ],
)
def test_a_plan_follows_the_options_and_the_job_s_length(
    config: dict[str, Any], plan: Plan
) -> None:
    asked = options(**config)
    assert Plan.of(asked, 400, evaluates=asked.evaluates) == plan


@pytest.mark.training
def test_only_what_the_assistant_says_is_learned() -> None:
    from arkor.backend.model import load_tokenizer

    tokenizer = load_tokenizer(find_model(TINY, Path("/")), model_id=TINY)
    turns = [ASKED, {"role": "assistant", "content": "one"}, ASKED, ANSWERED]

    def learned(responses_only: bool, max_length: int = 100) -> list[str]:
        samples = encode(
            [turns, "text"], tokenizer, max_length=max_length, responses_only=responses_only
        )
        return [
            tokenizer.decode([label for label in sample.labels if label != IGNORED])
            for sample in samples
        ]

    assert learned(True) == ["one<|im_end|>\na<|im_end|>\n", "text<|im_end|>"]
    assert learned(False)[0].startswith("<|im_start|>user\nq<|im_end|>")
    assert learned(True, max_length=4) == ["text<|im_end|>"], "cut before the first answer"


@pytest.mark.training
def test_a_template_that_forgets_gives_a_sample_for_each_answer() -> None:
    from arkor.backend.model import load_tokenizer

    tokenizer = load_tokenizer(find_model(TINY, Path("/")), model_id=TINY)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}:{% if m['role'] == 'user' or loop.last %}"
        "{{ m['content'] }}{% endif %};{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    turns = [ASKED, {"role": "assistant", "content": "one"}, ASKED, ANSWERED]
    samples = encode([turns], tokenizer, max_length=100, responses_only=True)
    assert [tokenizer.decode(sample.input_ids) for sample in samples] == [
        "user:q;assistant:one;",
        "user:q;assistant:;user:q;assistant:a;",
    ]


@pytest.mark.training
def test_the_names_of_optimizers_and_schedules_are_the_library_s() -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    from arkor.backend.options import OPTIMIZERS, SCHEDULERS

    assert set(OPTIMIZERS) <= {name.value for name in OptimizerNames}
    assert set(SCHEDULERS) <= {kind.value for kind in SchedulerType}
