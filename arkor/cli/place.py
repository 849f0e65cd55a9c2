"""Where a command looks: the store's folder, and the journal in it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["journal", "store_home"]


def store_home(given: Path | None = None) -> Path:
    """The store's folder: `given`, else what the environment or the settings say."""
    from arkor.runner.settings import load_settings
    from arkor.store.paths import home

    return home(load_settings(home=given).home)


def journal() -> "Journal":
    """The journal of this user, to read from."""
    from arkor.store.journal import open_journal

    return open_journal(store_home())
