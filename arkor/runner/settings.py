"""What is configured outside the code: the entry, the backend, the store's folder.

An argument wins over the environment, that over `[tool.arkor]` of the project's
`pyproject.toml`, that over `config.toml` in the user's configuration folder.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import platformdirs

from arkor.errors import ConfigError
from arkor.store.state import project_root

__all__ = ["KEYS", "Settings", "check_address", "load_settings", "user_config"]

T = TypeVar("T")

KEYS: Final = ("backend", "credentials", "entry", "home")
"""The keys that a file may set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. `None` means that nobody set it, and the default holds.

    `entry` is the training entry's absolute path. `backend` is a URL without a slash at its
    end, or `local` for the embedded one. `home` is the store's folder, absolute. `credentials`
    is where a new sign-in is kept: `file` or `keyring`.
    """

    entry: Path | None = None
    backend: str | None = None
    home: Path | None = None
    credentials: str | None = None


def user_config() -> Path:
    """The file with the user's own settings, for all projects."""
    return platformdirs.user_config_path("arkor") / "config.toml"


def load_settings(
    cwd: Path | str | None = None,
    *,
    backend: str | None = None,
    home: Path | str | None = None,
) -> Settings:
    """The settings of the project that `cwd` is in; `backend` and `home` win over all others.

    Raises `ConfigError` naming the file and the key for a file that is not TOML, a key that
    nobody knows, or a value that cannot work.
    """
    root = project_root(cwd)
    project = _table(root / "pyproject.toml", "tool", "arkor")
    user = _table(user_config())
    here = Path.cwd() if cwd is None else Path(cwd)
    return Settings(
        entry=_entry(root, project, user),
        backend=_first(
            _address(backend, "backend"),
            # A variable that is there but empty counts: a misconfiguration must not end up
            # at the managed cloud.
            _address(os.environ.get("ARKOR_CLOUD_API_URL"), "ARKOR_CLOUD_API_URL"),
            project.address(),
            user.address(),
        ),
        home=_first(
            _folder(home, here),
            _folder(os.environ.get("ARKOR_HOME"), here),
            project.folder(),
            user.folder(),
        ),
        credentials=_first(
            _place(os.environ.get("ARKOR_CREDENTIALS"), "ARKOR_CREDENTIALS"),
            project.place(),
            user.place(),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """The settings of one file, all of them texts; `file` is where they stand."""

    file: Path
    values: Mapping[str, str]

    def address(self) -> str | None:
        return _address(self.values.get("backend"), f"{self.file}: backend")

    def folder(self) -> Path | None:
        return _folder(self.values.get("home"), self.file.parent)

    def place(self) -> str | None:
        return _place(self.values.get("credentials"), f"{self.file}: credentials")


def _place(given: str | None, where: str) -> str | None:
    if not given or given in ("file", "keyring"):
        return given or None
    raise ConfigError(f"{where} must be `file` or `keyring`, not {given!r}", field=where)


def _entry(root: Path, project: _Table, user: _Table) -> Path | None:
    given = project.values.get("entry") or user.values.get("entry")
    return (root / given).resolve() if given else None


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def check_address(given: str, where: str) -> None:
    """Raise `ConfigError`, naming `where`, unless `given` is `local` or the URL of a backend.

    One with a user name or a password is none, and is not quoted.
    """
    if not given or given == "local":
        return
    if "@" in given:
        raise ConfigError(
            f"{where} must be a URL without an @: no user name and no password, "
            "since the token says who you are",
            field=where,
        )
    if not given.startswith(("http://", "https://")):
        raise ConfigError(
            f"{where} must be `local` or a URL that begins with http:// or https://, not {given!r}",
            field=where,
        )


def _address(given: str | None, where: str) -> str | None:
    if given is None:
        return None
    check_address(given, where)
    return given.rstrip("/")


def _folder(given: Path | str | None, base: Path) -> Path | None:
    return (base / Path(given).expanduser()).absolute() if given else None


def _table(file: Path, *path: str) -> _Table:
    table = _read(file)
    for name in path:
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: `{name}` must be a table", field=name)
    where = f"[{'.'.join(path)}] " if path else ""
    for key, value in table.items():
        if key not in KEYS:
            import difflib  # only a typo pays for it

            close = difflib.get_close_matches(key, KEYS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(KEYS)}"
            raise ConfigError(f"{file}: {where}has no key {key!r}; {hint}", field=key)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{file}: {where}{key} must be a text, not {value!r}", field=key)
    return _Table(file, table)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    import tomllib  # only who has such a file pays for its parser

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
