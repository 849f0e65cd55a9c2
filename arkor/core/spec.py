"""What a user asks for: a training job's options, checked, and their form on the wire.

Every option that was not given is absent from the wire, never null; the backend's defaults
apply. Options of any type are passed on untouched, as long as JSON can carry them.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Protocol

from arkor.errors import ConfigError

__all__ = [
    "SUPPORTED_MODELS",
    "BlobDataset",
    "Dataset",
    "FileDataset",
    "HuggingfaceDataset",
    "LoraConfig",
    "TrainingSpec",
    "fingerprint",
    "to_dataset",
    "to_lora",
]

SUPPORTED_MODELS: Final = ("unsloth/gemma-4-E4B-it",)
"""The models of the managed cloud, `owner/name` each."""


class _FilePath(Protocol):
    def __fspath__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HuggingfaceDataset:
    """A dataset by its name on the hub, with an optional split and subset."""

    name: str
    split: str | None = None
    subset: str | None = None

    def __post_init__(self) -> None:
        _text("dataset.name", self.name)
        _text("dataset.split", self.split, optional=True)
        _text("dataset.subset", self.subset, optional=True)

    def to_wire(self) -> dict[str, Any]:
        """The `datasetSource` object."""
        return _given(type="huggingface", name=self.name, split=self.split, subset=self.subset)


@dataclass(frozen=True, slots=True)
class BlobDataset:
    """A JSONL file that the backend fetches once over HTTPS; `token` is its bearer token."""

    url: str
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _text("dataset.url", self.url)
        _text("dataset.token", self.token, optional=True, shown=False)
        if not self.url.lower().startswith("https://"):
            raise ConfigError("dataset.url must be an https:// address", field="dataset.url")

    def to_wire(self) -> dict[str, Any]:
        """The `datasetSource` object, token included."""
        return _given(type="blob", url=self.url, token=self.token)


@dataclass(frozen=True, slots=True)
class FileDataset:
    """A local JSONL file, sent to the embedded backend when the run is submitted."""

    path: str | _FilePath

    def __post_init__(self) -> None:
        path = self.path
        _text("dataset.path", path.__fspath__() if hasattr(path, "__fspath__") else path)

    @property
    def name(self) -> str:
        """The path as text."""
        return self.path if isinstance(self.path, str) else self.path.__fspath__()

    def to_wire(self, sha256: str | None = None) -> dict[str, Any]:
        """The `datasetSource` object; `sha256` is the file's digest, in hex, once it is known."""
        name = self.name.replace("\\", "/").rsplit("/", 1)[-1]
        return _given(type="file", name=name, sha256=sha256)


Dataset = HuggingfaceDataset | BlobDataset | FileDataset


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """The adapter's rank and scale, the longest sequence in tokens, and 4-bit loading."""

    r: int
    alpha: float
    max_length: int | None = None
    load_in_4bit: bool | None = None

    def __post_init__(self) -> None:
        _whole("lora.r", self.r, optional=False)
        _number("lora.alpha", self.alpha, above=0, optional=False)
        _whole("lora.max_length", self.max_length)
        _flag("lora.load_in_4bit", self.load_in_4bit)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """The options of one training job, each checked. Raises `ConfigError` naming the field."""

    name: str
    model: str
    dataset: Dataset
    lora: LoraConfig | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    optim: str | None = None
    lr_scheduler_type: str | None = None
    weight_decay: float | None = None
    warmup_steps: Any = None
    logging_steps: Any = None
    save_steps: Any = None
    eval_steps: Any = None
    train_on_responses_only: Any = None
    dataset_format: Any = None
    dataset_split: Any = None
    dry_run: bool | None = None

    def __post_init__(self) -> None:
        _text("name", self.name)
        _text("model", self.model)
        _typed("dataset", self.dataset, Dataset, "HuggingfaceDataset, BlobDataset or FileDataset")
        _typed("lora", self.lora, LoraConfig | None, "LoraConfig")
        _whole("max_steps", self.max_steps)
        _number("num_train_epochs", self.num_train_epochs, above=0)
        _number("learning_rate", self.learning_rate, above=0)
        _whole("batch_size", self.batch_size)
        _text("optim", self.optim, optional=True)
        _text("lr_scheduler_type", self.lr_scheduler_type, optional=True)
        _number("weight_decay", self.weight_decay, at_least=0)
        _flag("dry_run", self.dry_run)
        for name in _PASSED_ON:
            _json(name, getattr(self, name))
            if name.endswith("_steps"):
                _number(name, getattr(self, name), at_least=0, strict=False)

    def config(self, *, file_sha256: str | None = None) -> dict[str, Any]:
        """The job's `config` on the wire. `file_sha256` is a `FileDataset`'s digest, in hex."""
        match self.dataset:
            case FileDataset():
                source = self.dataset.to_wire(file_sha256)
            case _:
                source = self.dataset.to_wire()
        lora = {} if self.lora is None else _wire(self.lora, _LORA_KEYS)
        return {"model": self.model, "datasetSource": source, **lora, **_wire(self, _KEYS)}


_LORA_KEYS: Final = {
    "r": "loraR",
    "alpha": "loraAlpha",
    "max_length": "maxLength",
    "load_in_4bit": "loadIn4bit",
}
_KEYS: Final = {
    "max_steps": "maxSteps",
    "num_train_epochs": "numTrainEpochs",
    "learning_rate": "learningRate",
    "batch_size": "batchSize",
    "optim": "optim",
    "lr_scheduler_type": "lrSchedulerType",
    "weight_decay": "weightDecay",
    "warmup_steps": "warmupSteps",
    "logging_steps": "loggingSteps",
    "save_steps": "saveSteps",
    "eval_steps": "evalSteps",
    "train_on_responses_only": "trainOnResponsesOnly",
    "dataset_format": "datasetFormat",
    "dataset_split": "datasetSplit",
    "dry_run": "dryRun",
}
_PASSED_ON: Final = (
    "warmup_steps",
    "logging_steps",
    "save_steps",
    "eval_steps",
    "train_on_responses_only",
    "dataset_format",
    "dataset_split",
)
_DATASETS: Final = {"huggingface": HuggingfaceDataset, "blob": BlobDataset, "file": FileDataset}


def fingerprint(config: Mapping[str, Any]) -> str:
    """A hex digest that two configs share if they ask for the same; dataset tokens apart."""
    source = dict(config.get("datasetSource", {}))
    source.pop("token", None)
    form = {**config, "datasetSource": source}
    text = json.dumps(form, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_dataset(value: Dataset | Mapping[str, Any]) -> Dataset:
    """Take a typed dataset as it is, and a plain dict by its `type`. Raises `ConfigError`."""
    if isinstance(value, HuggingfaceDataset | BlobDataset | FileDataset):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"dataset must be a dataset or a dict with a `type`, not {type(value).__name__}",
            field="dataset",
        )
    given = value.get("type")
    kind = _DATASETS.get(given) if isinstance(given, str) else None
    if kind is None:
        raise ConfigError(
            f"dataset.type must be one of {', '.join(_DATASETS)}, not {given!r}",
            field="dataset.type",
        )
    rest = {key: item for key, item in value.items() if key != "type"}
    built: Dataset = _build("dataset", kind, rest)
    return built


def to_lora(value: LoraConfig | Mapping[str, Any] | None) -> LoraConfig | None:
    """Take typed LoRA options as they are, and a plain dict by its keys. Raises `ConfigError`."""
    if value is None or isinstance(value, LoraConfig):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"lora must be a LoraConfig or a dict, not {type(value).__name__}", field="lora"
        )
    spelled = {"maxLength": "max_length", "loadIn4bit": "load_in_4bit"}
    lora: LoraConfig = _build("lora", LoraConfig, {spelled.get(k, k): v for k, v in value.items()})
    return lora


def _build(where: str, kind: Any, given: Mapping[str, Any]) -> Any:
    known = [item.name for item in fields(kind)]
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{where}.{key} is not an option; there are {', '.join(known)}",
                field=f"{where}.{key}",
            )
    try:
        return kind(**given)
    except TypeError as error:
        missing = next(name for name in known if name not in given)
        raise ConfigError(f"{where}.{missing} is missing", field=f"{where}.{missing}") from error


def _wire(value: object, keys: Mapping[str, str]) -> dict[str, Any]:
    return _given(**{wire: getattr(value, name) for name, wire in keys.items()})


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _typed(name: str, value: object, kind: Any, named: str) -> None:
    # Not the value itself, which may hold a token.
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be a {named}, not {type(value).__name__}", field=name)


def _text(name: str, value: object, *, optional: bool = False, shown: bool = True) -> None:
    if optional and value is None:
        return
    if not isinstance(value, str) or not value.strip():
        what = repr(value) if shown else type(value).__name__
        raise ConfigError(f"{name} must be a text that is not empty, not {what}", field=name)
    if not _is_unicode(value):
        what = f": {value!r}" if shown else ""
        raise ConfigError(f"{name} holds what is no Unicode text{what}", field=name)


def _is_unicode(text: str) -> bool:
    # A lone surrogate, such as Python makes of a file name's stray bytes, has no UTF-8 form.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(name: str, value: object, *, optional: bool = True) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}", field=name)


def _number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    strict: bool = True,
    optional: bool = True,
) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        if strict:
            raise ConfigError(f"{name} must be a number, not {value!r}", field=name)
        return
    low = (above is not None and value <= above) or (at_least is not None and value < at_least)
    if low or (isinstance(value, float) and not math.isfinite(value)):
        bound = f"above {above}" if above is not None else f"of at least {at_least}"
        raise ConfigError(f"{name} must be a finite number {bound}, not {value!r}", field=name)


def _flag(name: str, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}", field=name)


def _json(name: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{name} must be something JSON can carry: {error}", field=name
        ) from error
