"""Where a command looks: the store's folder, its journal, and the run an id means."""

from pathlib import Path
from typing import TYPE_CHECKING

from arkor.cli.door import NoSuchRunError
from arkor.errors import JournalError

if TYPE_CHECKING:
    from arkor.store.journal import Journal

__all__ = ["find_run", "journal", "store_home"]


def store_home(given: Path | None = None) -> Path:
    """The store's folder: `given`, else what the environment or the settings say."""
    from arkor.runner.settings import load_settings
    from arkor.store.paths import home

    return home(load_settings(home=given).home)


def journal() -> "Journal":
    """The journal of this user, to read from."""
    from arkor.store.journal import open_journal

    return open_journal(store_home())


def find_run(journal: "Journal", id: str) -> str:
    """The run that `id` means: a run's or a job's id, a unique prefix of one, or `@last`.

    Raises `NoSuchRunError` if that is none, or more than one.
    """
    try:
        return journal.resolve(id)
    except JournalError as error:
        raise NoSuchRunError(f"{error}; `arkor runs --all` lists every run") from error
