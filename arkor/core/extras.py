"""Packages that only an extra of Arkor installs, imported where they are used."""

import importlib
from typing import Any

from arkor.errors import ConfigError

__all__ = ["import_extra"]


def import_extra(module: str, *, extra: str) -> Any:
    """The module of that name. Raises `ConfigError` naming the extra where it cannot be had."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigError(
            f"this needs {package}, which cannot be imported here ({error}); "
            f"pip install 'arkor[{extra}]'"
        ) from error
