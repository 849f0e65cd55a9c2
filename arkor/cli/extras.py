"""What the embedded backend needs beyond Arkor itself, and how to get it."""

from importlib.util import find_spec
from typing import Final

__all__ = ["INSTALL_BACKEND", "missing_for_backend"]

INSTALL_BACKEND: Final = "pip install 'arkor[backend]'"
"""Of an Arkor that is installed, pip takes that very one and adds what the extra names."""

_NEEDED: Final = ("starlette", "uvicorn", "torch", "transformers", "peft", "trl")
"""What the extra `backend` installs, as far as the backend cannot do without."""


def missing_for_backend() -> list[str]:
    """The modules of the extra `backend` that this Python has not; none of them is imported."""
    return [name for name in _NEEDED if find_spec(name) is None]
