"""A training job's options: read from its config on the wire, checked, defaults filled in."""

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from arkor.backend.rows import FORMATS, Format
from arkor.errors import ConfigError

__all__ = ["DRY_RUN_ROWS", "DRY_RUN_STEPS", "OPTIMIZERS", "SCHEDULERS", "SEED", "Options", "Split"]

SEED: Final = 1
"""Every job's seed: for the adapter's first weights, the order of the rows, and dropout."""

DRY_RUN_ROWS: Final = 50
DRY_RUN_STEPS: Final = 10

SCHEDULERS: Final = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "warmup_stable_decay",
)
"""The values of `lrSchedulerType`; the default is the first."""

_TORCH: Final = ("adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "rmsprop", "sgd")
_BITSANDBYTES: Final = (
    "adamw_8bit",
    "adamw_bnb_8bit",
    "ademamix",
    "ademamix_8bit",
    "lion_32bit",
    "lion_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop_bnb",
    "rmsprop_bnb_32bit",
    "rmsprop_bnb_8bit",
)

OPTIMIZERS: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(_TORCH),
    **dict.fromkeys(_BITSANDBYTES, "bitsandbytes"),
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "schedule_free_adamw": "schedulefree",
    "schedule_free_radam": "schedulefree",
    "schedule_free_sgd": "schedulefree",
    "stable_adamw": "optimi",
}
"""The values of `optim`, each with the module it needs beyond torch."""

_KEYS: Final = frozenset(
    {
        "model",
        "datasetSource",
        "loraR",
        "loraAlpha",
        "maxLength",
        "loadIn4bit",
        "maxSteps",
        "numTrainEpochs",
        "learningRate",
        "batchSize",
        "optim",
        "lrSchedulerType",
        "weightDecay",
        "warmupSteps",
        "loggingSteps",
        "saveSteps",
        "evalSteps",
        "trainOnResponsesOnly",
        "datasetFormat",
        "datasetSplit",
        "dryRun",
    }
)


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows train and which evaluate: names of splits, or how much to hold out.

    `evaluate` is a split's name, a share of the rows (a float below 1) or a number of rows.
    """

    train: str | None = None
    evaluate: str | float | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a job asks for. An interval is in steps, or a share of all steps if below 1; 0 is off.

    `None` means that the interval follows the job's length.
    """

    model: str
    source: Mapping[str, Any]
    lora_r: int = 8
    lora_alpha: float = 16
    max_length: int = 1024
    four_bit: bool = False
    max_steps: int | None = None
    epochs: float = 1.0
    learning_rate: float = 2e-4
    batch_size: int = 8
    optim: str | None = None
    scheduler: str = "linear"
    weight_decay: float = 0.0
    warmup: float = 0
    log_every: float | None = None
    save_every: float | None = None
    eval_every: float | None = None
    responses_only: bool = True
    format: Format | None = None
    split: Split = field(default_factory=Split)
    dry_run: bool = False

    @property
    def evaluates(self) -> bool:
        """Whether rows are to be kept for evaluation."""
        if self.eval_every is not None:
            return self.eval_every > 0
        return self.split.evaluate is not None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Options":
        """Read the config of a submitted job. Raises `ConfigError` naming the option."""
        for key in config:
            if key not in _KEYS:
                raise ConfigError(
                    f"{key} is not an option of this backend; it knows {', '.join(sorted(_KEYS))}",
                    field=key,
                )
        given = _Reader(config)
        values: dict[str, Any] = {
            "model": given.text("model", required=True),
            "source": given.source(),
            "lora_r": given.whole("loraR"),
            "lora_alpha": given.number("loraAlpha", above=0),
            "max_length": given.whole("maxLength", at_least=2),
            "four_bit": given.flag("loadIn4bit"),
            "max_steps": given.whole("maxSteps"),
            "epochs": given.number("numTrainEpochs", above=0),
            "learning_rate": given.number("learningRate", above=0),
            "batch_size": given.whole("batchSize"),
            "optim": given.optimizer(),
            "scheduler": given.one_of("lrSchedulerType", SCHEDULERS),
            "weight_decay": given.number("weightDecay"),
            "warmup": given.interval("warmupSteps"),
            "log_every": given.interval("loggingSteps"),
            "save_every": given.interval("saveSteps"),
            "eval_every": given.interval("evalSteps"),
            "responses_only": given.flag("trainOnResponsesOnly"),
            "format": given.format(),
            "split": given.split(),
            "dry_run": given.flag("dryRun"),
        }
        return cls(**{name: value for name, value in values.items() if value is not None})


class _Reader:
    """Takes one option after the other out of a config; an absent or null one is `None`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self._config.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, str) or not value.strip():
            raise _bad(key, value, "a text that is not empty")
        return value

    def whole(self, key: str, *, at_least: int = 1) -> int | None:
        value = self._config.get(key)
        if value is None:
            return None
        if not _is_number(value) or value != int(value) or value < at_least:
            raise _bad(key, value, f"a whole number of at least {at_least}")
        return int(value)

    def number(self, key: str, *, above: float | None = None) -> float | None:
        value = self._config.get(key)
        if value is None:
            return None
        if not _is_number(value) or (value < 0 if above is None else value <= above):
            bound = "of at least 0" if above is None else f"above {above}"
            raise _bad(key, value, f"a number {bound}")
        return float(value)

    def interval(self, key: str) -> float | None:
        value = self._config.get(key)
        if value is None:
            return None
        if not _is_number(value) or value < 0 or (value >= 1 and value != int(value)):
            raise _bad(key, value, "a number of steps, a share of all steps below 1, or 0 for none")
        return float(value)

    def flag(self, key: str) -> bool | None:
        value = self._config.get(key)
        if value is not None and not isinstance(value, bool):
            raise _bad(key, value, "true or false")
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str | None:
        value = self._config.get(key)
        if value is not None and value not in known:
            raise _bad(key, value, f"one of {', '.join(known)}")
        return value

    def optimizer(self) -> str | None:
        name = self.one_of("optim", tuple(OPTIMIZERS))
        module = OPTIMIZERS[name] if name else None
        if module and importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"optim {name!r} needs the Python module {module}, which is not installed beside "
                f"the backend; {', '.join(_TORCH)} work without it",
                field="optim",
            )
        return name

    def format(self) -> Format | None:
        value = self._config.get("datasetFormat")
        if isinstance(value, Mapping):
            if extra := sorted(set(value) - {"type"}):
                raise ConfigError(
                    f"datasetFormat.{extra[0]} is not an option of this backend; only `type` is",
                    field="datasetFormat",
                )
            value = value.get("type", "")
        if value is None:
            return None
        found = FORMATS.get(value) if isinstance(value, str) else None
        if found is None:
            raise _bad("datasetFormat", value, f"one of {', '.join(FORMATS)}")
        return found

    def source(self) -> Mapping[str, Any]:
        value = self._config.get("datasetSource")
        kinds: dict[str, Literal["name", "url", "sha256"]] = {
            "huggingface": "name",
            "blob": "url",
            "file": "sha256",
        }
        kind = value.get("type") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or kind not in kinds:
            raise ConfigError(
                f"datasetSource must be an object whose `type` is one of {', '.join(kinds)}",
                field="datasetSource",
            )
        wanted = kinds[kind]
        if not isinstance(value.get(wanted), str) or not value[wanted]:
            raise ConfigError(
                f"datasetSource.{wanted} must be a text that is not empty",
                field=f"datasetSource.{wanted}",
            )
        return value

    def split(self) -> Split | None:
        value = self._config.get("datasetSplit")
        if value is None:
            return None
        if isinstance(value, str) and value:
            return Split(train=value)
        if not isinstance(value, Mapping) or set(value) - {"train", "eval"}:
            raise _bad("datasetSplit", value, "a split's name or an object with `train` and `eval`")
        train, held = value.get("train"), value.get("eval")
        if train is not None and (not isinstance(train, str) or not train):
            raise _bad("datasetSplit.train", train, "a split's name")
        return Split(train=train, evaluate=_held_out(held))


def _held_out(value: Any) -> str | float | int | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if _is_number(value) and 0 < value < 1:
        return float(value)
    if _is_number(value) and value >= 1 and value == int(value):
        return int(value)
    raise _bad("datasetSplit.eval", value, "a split's name, a share below 1 or a number of rows")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bad(key: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(f"{key} must be {wanted}, not {value!r}", field=key)
