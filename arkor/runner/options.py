"""The advanced options of a trainer; also the seam its tests use."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from arkor.errors import ConfigError
from arkor.runner.settings import check_address
from arkor.store.credentials import Credentials

if TYPE_CHECKING:
    import httpx

__all__ = ["TrainerOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerOptions:
    """Where a trainer finds things, and how patient it is. Times are in seconds.

    `base_url` and `credentials` pin the backend, `cwd` the folder whose project it is, `home`
    the folder of the store. `http` is used on Arkor's own thread: do not share it with a loop
    of yours. `max_reconnect_attempts` of `None` is no limit.
    """

    base_url: str | None = None
    credentials: Credentials | None = None
    cwd: Path | str | None = None
    home: Path | str | None = None
    reconnect_delay: float = 1.0
    max_reconnect_delay: float = 60.0
    max_reconnect_attempts: int | None = None
    idle_timeout: float = 90.0
    http: "httpx.AsyncClient | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_address(self.base_url or "", "options.base_url")
        for name in ("reconnect_delay", "max_reconnect_delay", "idle_timeout"):
            value = getattr(self, name)
            if not math.isfinite(value) or value <= 0:
                raise ConfigError(
                    f"options.{name} must be a number of seconds above 0, not {value!r}",
                    field=f"options.{name}",
                )
        attempts = self.max_reconnect_attempts
        if attempts is not None and attempts < 0:
            raise ConfigError(
                f"options.max_reconnect_attempts must not be negative, not {attempts!r}",
                field="options.max_reconnect_attempts",
            )
