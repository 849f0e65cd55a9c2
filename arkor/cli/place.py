"""Where a command looks: the store's folder, the journal in it, the backend."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor.errors import ArkorError, ConfigError

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["backend_address", "journal", "journal_at", "store_home", "working_in"]

JOURNAL: Final = "ARKOR_JOURNAL_URL"


def store_home(given: Path | None = None) -> Path:
    """The store's folder: `given`, else what the environment or the settings say."""
    from arkor.runner.settings import load_settings
    from arkor.store.paths import home

    return home(load_settings(home=given).home)


def journal() -> "Journal":
    """The journal of this user, to read from."""
    from arkor.store.journal import open_journal

    return open_journal(store_home())


@contextlib.contextmanager
def journal_at(file: Path, *, create: bool) -> Iterator[None]:
    """Let `file` be the journal while the block lasts, as `ARKOR_JOURNAL_URL` does.

    Raises `ConfigError` if it is not there, unless it may be created.
    """
    from arkor.store.survey import holds_nothing

    path = file.expanduser().absolute()
    if path.is_dir():
        raise ConfigError(f"--journal {path} is a folder; name the file in it", field="journal")
    if not create and not path.exists():
        raise ConfigError(f"there is no journal {path}; see --journal", field="journal")
    if not create and holds_nothing(path):
        raise ConfigError(f"--journal {path} is an empty file, and no journal", field="journal")
    before = os.environ.get(JOURNAL)
    os.environ[JOURNAL] = f"sqlite:///{path}"
    try:
        yield
    finally:
        del os.environ[JOURNAL]
        if before is not None:
            os.environ[JOURNAL] = before


def backend_address() -> str | None:
    """The address of the backend that a new run goes to, in words; `None` if it cannot be told."""
    from arkor.runner.identity import current_identity, default_arkor_cloud_api_url
    from arkor.runner.local import LOCAL
    from arkor.runner.settings import load_settings

    try:
        address = load_settings().backend
        if address is None:
            address = default_arkor_cloud_api_url(current_identity(store_home()))
    except (ArkorError, OSError):
        return None  # it is asked for on the way to report an error, which is the one to report
    return "the embedded backend" if address == LOCAL else address


def working_in(folder: Path | None) -> contextlib.AbstractContextManager[None]:
    """Work in `folder` while the block lasts; one that is not there is for its user to report."""
    there = folder is not None and folder.is_dir()
    return contextlib.chdir(folder) if folder and there else contextlib.nullcontext()
