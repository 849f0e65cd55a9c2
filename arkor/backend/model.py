"""Base models: where one lies, and loading it with its tokenizer for training or chat."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = [
    "SMALL_MODEL",
    "TINY",
    "find_model",
    "in_brief",
    "is_local",
    "load_model",
    "load_tokenizer",
    "prepare_libraries",
    "use_cores",
]

TINY: Final = "arkor/tiny"
"""The id of the base model that comes with this package."""

SMALL_MODEL: Final = 20_000_000
"""Up to this many parameters a CPU computes in float32, with one thread."""

_DATA: Final = Path(__file__).parent / "data"
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")

_PLAIN_TEMPLATE: Final = (
    "{% for m in messages %}"
    "{{ m['role'] | capitalize + ': ' + m['content'] }}"
    "{{ eos_token + '\n' if m['role'] == 'assistant' else '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)
"""What a model without a chat template of its own is taught and asked with."""


def find_model(model_id: str, home: Path) -> str:
    """The folder of `model_id`, or the id itself if it is to come from the hub.

    `home` is the backend's folder. Looked at in this order: the shipped tiny base, `models/ID`
    under `home`, an absolute path, a hub name. Raises `ConfigError` if it can be none of them.
    """
    if model_id == TINY:
        return str(_DATA / "base-tiny")
    models = home / "models"
    # By its name alone: what is put there may be a link to a folder anywhere.
    placed = models / model_id
    if ".." not in Path(model_id).parts and models in placed.parents and os.path.lexists(placed):
        return _whole(placed.resolve(), model_id)
    path = Path(model_id).expanduser()
    if path.is_absolute():
        return _whole(path, model_id)
    if _HUB_NAME.fullmatch(model_id):
        return model_id
    raise ConfigError(
        f"model {model_id!r} is neither an absolute path nor a name like owner/model; "
        f"{TINY} comes with Arkor, and a folder can be put at {models / 'NAME'}",
        field="model",
    )


def is_local(found: str) -> bool:
    """Whether what `find_model` returned is a folder of this machine."""
    return Path(found).is_absolute()


def load_tokenizer(found: str, *, model_id: str) -> Any:
    """The tokenizer at a folder or hub name, with a padding token and a chat template.

    Raises `ConfigError` if there is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(found)
    except (OSError, ValueError) as error:
        raise _unloadable(model_id, error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template = _PLAIN_TEMPLATE
    return tokenizer


def load_model(found: str, *, model_id: str, four_bit: bool = False) -> Any:
    """The causal language model at a folder or hub name, on the device it will run on.

    Raises `ConfigError` if there is none, or if `four_bit` is asked for without a CUDA GPU.
    """
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": "auto"}
    if four_bit:
        options["quantization_config"] = _four_bit()
    try:
        model = AutoModelForCausalLM.from_pretrained(found, **options)
    except (OSError, ValueError) as error:
        raise _unloadable(model_id, error) from error
    if four_bit:
        return model
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device=device, dtype=_dtype(model, device))


def prepare_libraries(**more: str) -> None:
    """Set what the libraries read when they are imported; a variable that is set stays."""
    defaults = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Threads that spin while they wait starve each other where cores are shared.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        **more,
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def use_cores(model: Any) -> None:
    """Compute a small model with one thread, since more only wait for each other."""
    import torch

    small = sum(weights.numel() for weights in model.parameters()) <= SMALL_MODEL
    if small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def in_brief(error: BaseException) -> str:
    """An exception's text on one line, at most 300 characters, or its type."""
    text = " ".join(str(error).split())
    return text[:300].rstrip(" .:") or type(error).__name__


def _unloadable(model_id: str, error: Exception) -> ConfigError:
    return ConfigError(f"model {model_id!r} cannot be loaded: {in_brief(error)}", field="model")


def _whole(path: Path, model_id: str) -> str:
    if not (path / "config.json").is_file():
        raise ConfigError(
            f"model {model_id!r}: there is no model folder with a config.json at {path}",
            field="model",
        )
    return str(path)


def _dtype(model: Any, device: str) -> "torch.dtype":
    import torch

    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if model.num_parameters() <= SMALL_MODEL:
        return torch.float32
    # A CPU has no fast float16, and training in it overflows.
    stored: torch.dtype = model.dtype
    return torch.bfloat16 if stored == torch.float16 else stored


def _four_bit() -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise ConfigError(
            "loadIn4bit needs a CUDA GPU, and this machine has none; leave it out to train here",
            field="loadIn4bit",
        )
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
