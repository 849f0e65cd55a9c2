"""Where things are on disk. Nothing here creates anything but `ensure_home`."""

import os
import stat
import warnings
from pathlib import Path
from typing import Final

import platformdirs

from arkor.errors import ArkorWarning, ConfigError, JournalError

__all__ = ["OTHERS", "backend_path", "credentials_path", "ensure_home", "home", "journal_path"]

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""The permissions that nobody but the owner needs."""


def home(override: Path | str | None = None) -> Path:
    """The store's folder: `override`, else `ARKOR_HOME`, else the platform's data folder."""
    given = override or os.environ.get("ARKOR_HOME")
    path = Path(given) if given else platformdirs.user_data_path("arkor")
    return path.expanduser().absolute()


def journal_path(folder: Path | str | None = None) -> Path:
    """The journal's file: `arkor.db` in the store's folder, or what `ARKOR_JOURNAL_URL` names.

    Raises `ConfigError` if the variable names another database than SQLite. Its value may hold
    a password, so the message shows no more than the scheme.
    """
    url = os.environ.get("ARKOR_JOURNAL_URL")
    if not url:
        return home(folder) / "arkor.db"
    scheme, separator, file = url.partition(":///")
    if scheme != "sqlite" or not separator or not file:
        raise ConfigError(
            "ARKOR_JOURNAL_URL must be sqlite:///PATH; this release keeps its journal in SQLite "
            f"only, and the variable's scheme is {url.partition(':')[0]!r}",
            field="ARKOR_JOURNAL_URL",
        )
    return Path(file).expanduser().absolute()


def credentials_path(folder: Path | str | None = None) -> Path:
    """The credentials' file, in the store's folder."""
    return home(folder) / "credentials.json"


def backend_path(folder: Path | str | None = None) -> Path:
    """The embedded backend's folder, in the store's folder."""
    return home(folder) / "backend"


def ensure_home(folder: Path) -> Path:
    """Make the folder, open to its owner alone; one that others can enter is narrowed.

    Narrowing warns. What is not ours, is shared by intent as `/tmp` is, or is no home but the
    folder of `ARKOR_JOURNAL_URL`, is left as it is. Raises `JournalError` if it cannot be made or narrowed.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (os.environ.get("ARKOR_JOURNAL_URL") and journal_path().parent == folder):
            _narrow(folder)
    except OSError as error:
        raise JournalError(
            f"the folder {folder} cannot be made private: {error.strerror}; "
            "set ARKOR_HOME to a folder that you may write to",
            path=folder,
        ) from error
    return folder


def _narrow(folder: Path) -> None:
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & OTHERS and not mode & stat.S_ISVTX and found.st_uid == os.geteuid():
        folder.chmod(0o700)
        warnings.warn(
            f"{folder} could be entered by others (mode {mode:04o}); it is 0700 now",
            ArkorWarning,
            stacklevel=4,
        )
