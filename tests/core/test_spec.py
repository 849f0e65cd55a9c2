"""What a user asks for: its form on the wire, and what is refused before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from arkor.core.spec import (
    BlobDataset,
    Dataset,
    FileDataset,
    HuggingfaceDataset,
    LoraConfig,
    TrainingSpec,
    fingerprint,
    to_dataset,
    to_lora,
)
from arkor.errors import ConfigError

DATASET = HuggingfaceDataset("owner/data")
INF, NAN = float("inf"), float("nan")


def spec(**given: Any) -> TrainingSpec:
    return TrainingSpec(**{"name": "a run", "model": "owner/model", "dataset": DATASET, **given})


def test_what_was_not_given_is_absent() -> None:
    assert spec().config() == {
        "model": "owner/model",
        "datasetSource": {"type": "huggingface", "name": "owner/data"},
    }


def test_every_option_has_its_key_on_the_wire() -> None:
    asked = spec(
        lora=LoraConfig(r=8, alpha=16.5, max_length=2048, load_in_4bit=True),
        max_steps=100,
        num_train_epochs=1.5,
        learning_rate=2e-4,
        batch_size=4,
        optim="adamw_8bit",
        lr_scheduler_type="cosine",
        weight_decay=0.01,
        warmup_steps=5,
        logging_steps=1,
        save_steps=50,
        eval_steps=25,
        train_on_responses_only=True,
        dataset_format={"type": "chatml"},
        dataset_split="train",
        dry_run=True,
    )
    assert asked.config() == {
        "model": "owner/model",
        "datasetSource": {"type": "huggingface", "name": "owner/data"},
        "loraR": 8,
        "loraAlpha": 16.5,
        "maxLength": 2048,
        "loadIn4bit": True,
        "maxSteps": 100,
        "numTrainEpochs": 1.5,
        "learningRate": 2e-4,
        "batchSize": 4,
        "optim": "adamw_8bit",
        "lrSchedulerType": "cosine",
        "weightDecay": 0.01,
        "warmupSteps": 5,
        "loggingSteps": 1,
        "saveSteps": 50,
        "evalSteps": 25,
        "trainOnResponsesOnly": True,
        "datasetFormat": {"type": "chatml"},
        "datasetSplit": "train",
        "dryRun": True,
    }


def test_what_is_falsy_but_given_is_sent() -> None:
    asked = spec(
        lora=LoraConfig(r=8, alpha=16, load_in_4bit=False),
        weight_decay=0,
        warmup_steps=0,
        logging_steps="",
        eval_steps=False,
        train_on_responses_only=False,
        dataset_format={},
        dataset_split="",
        dry_run=False,
    )
    config = asked.config()
    falsy = {key: value for key, value in config.items() if not value}
    assert falsy == {
        "loadIn4bit": False,
        "weightDecay": 0,
        "warmupSteps": 0,
        "loggingSteps": "",
        "evalSteps": False,
        "trainOnResponsesOnly": False,
        "datasetFormat": {},
        "datasetSplit": "",
        "dryRun": False,
    }


@pytest.mark.parametrize(
    ("dataset", "source"),
    [
        (
            HuggingfaceDataset("owner/data", split="train", subset="en"),
            {"type": "huggingface", "name": "owner/data", "split": "train", "subset": "en"},
        ),
        (
            BlobDataset("https://host/a.jsonl"),
            {"type": "blob", "url": "https://host/a.jsonl"},
        ),
        (
            BlobDataset("HTTPS://host/a.jsonl", token="a token"),
            {"type": "blob", "url": "HTTPS://host/a.jsonl", "token": "a token"},
        ),
        (FileDataset("data/train.jsonl"), {"type": "file", "name": "train.jsonl"}),
        (FileDataset("data\\train.jsonl"), {"type": "file", "name": "train.jsonl"}),
        (FileDataset(Path("data") / "train.jsonl"), {"type": "file", "name": "train.jsonl"}),
    ],
)
def test_each_dataset_has_its_source(dataset: Dataset, source: dict[str, str]) -> None:
    assert spec(dataset=dataset).config()["datasetSource"] == source


def test_a_file_is_named_by_its_digest() -> None:
    config = spec(dataset=FileDataset("train.jsonl")).config(file_sha256="ab12")
    assert config["datasetSource"] == {"type": "file", "name": "train.jsonl", "sha256": "ab12"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", None),
        ("name", "a\udcffb"),
        ("model", ""),
        ("model", 7),
        ("max_steps", 0),
        ("max_steps", -1),
        ("max_steps", 1.5),
        ("max_steps", True),
        ("max_steps", "10"),
        ("num_train_epochs", 0),
        ("num_train_epochs", NAN),
        ("num_train_epochs", True),
        ("learning_rate", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", NAN),
        ("learning_rate", INF),
        ("learning_rate", "2e-4"),
        ("learning_rate", False),
        ("batch_size", 0),
        ("batch_size", True),
        ("optim", ""),
        ("optim", 1),
        ("lr_scheduler_type", " "),
        ("weight_decay", -0.1),
        ("weight_decay", INF),
        ("warmup_steps", -1),
        ("logging_steps", NAN),
        ("save_steps", -INF),
        ("eval_steps", -25),
        ("eval_steps", {"every": NAN}),
        ("train_on_responses_only", {1, 2}),
        ("dataset_format", {"type": object()}),
        ("dataset_split", [INF]),
        ("dataset_split", "a\ud800"),
        ("dry_run", 1),
        ("dry_run", "yes"),
    ],
)
def test_what_cannot_work_is_refused_by_the_field(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        spec(**{field: value})
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("lora", 8),
        ("lora.r", {"alpha": 16}),
        ("lora.r", {"r": -8, "alpha": 16}),
        ("lora.r", {"r": 0, "alpha": 16}),
        ("lora.r", {"r": True, "alpha": 16}),
        ("lora.r", {"r": 8.0, "alpha": 16}),
        ("lora.r", {"r": None, "alpha": 16}),
        ("lora.alpha", {"r": 8}),
        ("lora.alpha", {"r": 8, "alpha": None}),
        ("lora.alpha", {"r": 8, "alpha": 0}),
        ("lora.alpha", {"r": 8, "alpha": NAN}),
        ("lora.alpha", {"r": 8, "alpha": True}),
        ("lora.max_length", {"r": 8, "alpha": 16, "maxLength": 0}),
        ("lora.load_in_4bit", {"r": 8, "alpha": 16, "loadIn4bit": 1}),
        ("lora.rank", {"rank": 8, "alpha": 16}),
    ],
)
def test_lora_is_checked(field: str, given: Any) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        to_lora(given)
    assert caught.value.field == field


def test_lora_by_either_spelling() -> None:
    full = LoraConfig(8, 16, max_length=512, load_in_4bit=False)
    assert to_lora({"r": 8, "alpha": 16, "maxLength": 512, "loadIn4bit": False}) == full
    assert to_lora({"r": 8, "alpha": 16, "max_length": 512, "load_in_4bit": False}) == full
    assert to_lora(full) is full
    assert to_lora(None) is None


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("dataset", "owner/data"),
        ("dataset", None),
        ("dataset.type", {}),
        ("dataset.type", {"type": "s3", "url": "s3://bucket"}),
        ("dataset.type", {"type": None}),
        ("dataset.type", {"type": ["huggingface"]}),
        ("dataset.name", {"type": "huggingface"}),
        ("dataset.name", {"type": "huggingface", "split": "train"}),
        ("dataset.name", {"type": "huggingface", "name": ""}),
        ("dataset.split", {"type": "huggingface", "name": "d", "split": ""}),
        ("dataset.subset", {"type": "huggingface", "name": "d", "subset": 1}),
        ("dataset.revision", {"type": "huggingface", "name": "d", "revision": "main"}),
        ("dataset.url", {"type": "blob"}),
        ("dataset.url", {"type": "blob", "url": "http://host/a.jsonl"}),
        ("dataset.url", {"type": "blob", "url": "file:///a.jsonl"}),
        ("dataset.url", {"type": "blob", "url": 7}),
        ("dataset.token", {"type": "blob", "url": "https://host/a", "token": ""}),
        ("dataset.headers", {"type": "blob", "url": "https://host/a", "headers": {}}),
        ("dataset.path", {"type": "file"}),
        ("dataset.path", {"type": "file", "path": ""}),
        ("dataset.path", {"type": "file", "path": 5}),
        ("dataset.path", {"type": "file", "path": None}),
        ("dataset.path", {"type": "file", "path": b"train.jsonl"}),
    ],
)
def test_datasets_are_checked(field: str, given: Any) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        to_dataset(given)
    assert caught.value.field == field


def test_datasets_by_dict_or_by_class() -> None:
    assert to_dataset({"type": "huggingface", "name": "d", "split": "s"}) == HuggingfaceDataset(
        "d", split="s"
    )
    assert to_dataset({"type": "blob", "url": "https://h/a"}) == BlobDataset("https://h/a")
    assert to_dataset({"type": "file", "path": "a.jsonl"}) == FileDataset("a.jsonl")
    assert to_dataset(DATASET) is DATASET


def test_a_token_is_in_no_repr_and_no_message() -> None:
    assert "hush" not in repr(BlobDataset("https://host/a", token="hush"))
    with pytest.raises(ConfigError) as caught:
        BlobDataset("https://host/a", token=b"hush")  # type: ignore[arg-type]
    assert "hush" not in str(caught.value)


def test_a_fingerprint_is_stable() -> None:
    """Stored in journals: another digest for the same config would orphan every run in them."""
    config = spec(lora=LoraConfig(8, 16), max_steps=5, dataset_split="trän").config()
    assert fingerprint(config) == "17fd064b2b6dcf143ca3c7bd9ff872f269eb778fb62b15754c0975ae220c6a8b"


def test_a_fingerprint_is_of_what_is_asked_not_of_how_or_by_whom() -> None:
    one = spec(dataset=BlobDataset("https://host/a", token="one"), max_steps=5).config()
    other = spec(dataset=BlobDataset("https://host/a", token="other"), max_steps=5).config()
    bare = spec(dataset=BlobDataset("https://host/a"), max_steps=5).config()
    assert fingerprint(one) == fingerprint(other) == fingerprint(bare)
    assert fingerprint(dict(reversed(one.items()))) == fingerprint(one)
    assert one["datasetSource"]["token"] == "one"
    assert fingerprint({**one, "maxSteps": 6}) != fingerprint(one)
    assert fingerprint({**one, "dryRun": False}) != fingerprint(one)


@pytest.mark.parametrize("name", ["dataset", "lora"])
def test_a_dict_is_no_typed_option(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a .*, not dict") as caught:
        spec(**{name: {"type": "blob", "url": "https://x", "token": "secret-token"}})
    assert caught.value.field == name
    assert "secret-token" not in str(caught.value)
