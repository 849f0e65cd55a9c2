"""Where a command looks: the store's folder, and the journal in it."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["journal", "store_home", "working_in"]


def store_home(given: Path | None = None) -> Path:
    """The store's folder: `given`, else what the environment or the settings say."""
    from arkor.runner.settings import load_settings
    from arkor.store.paths import home

    return home(load_settings(home=given).home)


def journal() -> "Journal":
    """The journal of this user, to read from."""
    from arkor.store.journal import open_journal

    return open_journal(store_home())


def working_in(folder: Path | None) -> contextlib.AbstractContextManager[None]:
    """Work in `folder` while the block lasts; one that is not there is for its user to report."""
    there = folder is not None and folder.is_dir()
    return contextlib.chdir(folder) if folder and there else contextlib.nullcontext()
