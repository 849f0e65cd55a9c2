"""An identity for what Studio asks of the backend, made at its start where there is none."""

from collections.abc import Callable
from pathlib import Path

from arkor.client.auth import CliConfig, cli_config
from arkor.errors import (
    AnonymousTokenRejectedError,
    BackendUnreachableError,
    CloudApiError,
    ConfigError,
)
from arkor.runner.identity import (
    current_identity,
    default_arkor_cloud_api_url,
    ensure_credentials,
)
from arkor.runner.local import LOCAL
from arkor.runner.settings import load_settings
from arkor.store.journal import open_journal

__all__ = ["bootstrap"]


async def bootstrap(home: Path, cwd: Path, tell: Callable[[str], None]) -> None:
    """See to it that there is an identity in `home` for the backend of the project in `cwd`.

    The embedded backend needs none. Nobody is asked to sign in. A backend that cannot be reached
    is a warning where there are runs to show, and where only the identity could not be had: that
    is tried again when it is needed. Raises `BackendUnreachableError` otherwise, `ConfigError`
    where only an account will do, `CloudApiError`.
    """
    address = load_settings(cwd, home=home).backend
    if address == LOCAL or current_identity(home) is not None:
        return
    address = default_arkor_cloud_api_url() if address is None else address
    try:
        config = await _config(address)
    except BackendUnreachableError as error:
        if not open_journal(home).runs(limit=1):
            raise
        tell(f"warning: {error}; the runs on record are shown all the same")
        return
    await _anonymous(home, address, config, tell)


async def _config(address: str) -> CliConfig | None:
    try:
        return await cli_config(address)
    except CloudApiError as error:
        if error.status != 404:
            raise
        return None  # a backend without accounts has no such endpoint


async def _anonymous(
    home: Path, address: str, config: CliConfig | None, tell: Callable[[str], None]
) -> None:
    oauth = config is not None and config.oauth
    try:
        await ensure_credentials(home=home, base_url=address)
    except BackendUnreachableError as error:
        tell(f"warning: {error}; an identity is asked for again when one is needed")
        return
    except AnonymousTokenRejectedError as error:
        # An outdated release, or too many requests, is not mended by signing in.
        if oauth and 400 <= error.status < 500 and error.status not in (426, 429):
            raise ConfigError(
                f"{address} issues no anonymous identity (HTTP {error.status}); "
                "sign in with `arkor login --oauth`"
            ) from error
        raise
    hint = "; `arkor login --oauth` signs in with an account" if oauth else ""
    tell(f"this machine has a new anonymous identity at {address}{hint}")
