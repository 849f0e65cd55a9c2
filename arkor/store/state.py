"""Which project a directory belongs to, at the backend."""

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, delete, insert, select

from arkor.errors import ConfigError
from arkor.store.database import ReadDoor
from arkor.store.paths import journal_path
from arkor.store.schema import project_states
from arkor.store.writer import open_writer

__all__ = [
    "ProjectState",
    "delete_state",
    "project_root",
    "read_state",
    "state_path",
    "write_state",
]


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The project at the backend that a directory belongs to."""

    org_slug: str
    project_slug: str
    project_id: str


def project_root(cwd: Path | str | None = None) -> Path:
    """The root of the project that `cwd` is in; `cwd` itself if it is in none.

    That is the nearest folder upwards whose pyproject.toml has a `[tool.arkor]` table, or which
    has a `src/arkor/index.py`. Raises `ConfigError` if such a pyproject.toml is no TOML, or if
    a folder or a pyproject.toml on the way cannot be read.
    """
    start = Path(cwd or ".").resolve()
    for folder in (start, *start.parents):
        try:
            if (folder / "src" / "arkor" / "index.py").is_file() or _has_table(folder):
                return folder
        except OSError as error:
            raise ConfigError(
                f"{error.filename or folder} cannot be read: {error.strerror}; "
                "it may say which project this is"
            ) from error
    return start


def read_state(
    cwd: Path | str | None = None, home: Path | str | None = None
) -> ProjectState | None:
    """The project of `cwd`'s project root: the store's, or that of the TypeScript tools.

    Without `home` the store is that of `ARKOR_HOME`, else the default one: a folder that only a
    project's settings name is not looked for. Raises `JournalError` if the store cannot be read.
    """
    root = project_root(cwd)
    return _stored(root, home) or _read_file(_foreign(root))


def write_state(
    state: ProjectState, cwd: Path | str | None = None, home: Path | str | None = None
) -> None:
    """Link `cwd`'s project root to a project; durable when this returns.

    Raises `JournalError` if the store cannot be written.
    """
    root = str(project_root(cwd))
    with open_writer(home).transaction(durable=True) as tx:
        tx.connection.execute(delete(project_states).where(_of(root)))
        tx.connection.execute(insert(project_states).values(project_root=root, **asdict(state)))


def delete_state(cwd: Path | str | None = None, home: Path | str | None = None) -> bool:
    """Unlink `cwd`'s project root. False if the store had no link for it.

    Raises `JournalError` if the store cannot be written.
    """
    root = project_root(cwd)
    if _stored(root, home) is None:
        return False
    with open_writer(home).transaction(durable=True) as tx:
        tx.connection.execute(delete(project_states).where(_of(str(root))))
    return True


def state_path(cwd: Path | str | None = None, home: Path | str | None = None) -> Path:
    """The file that holds the project state, or that `write_state` would put it in."""
    root = project_root(cwd)
    file = _foreign(root)
    if _stored(root, home) is None and _read_file(file) is not None:
        return file
    return journal_path(home)


def _of(root: str) -> ColumnElement[bool]:
    return project_states.c.project_root == root


def _stored(root: Path, home: Path | str | None) -> ProjectState | None:
    columns = (
        project_states.c.org_slug,
        project_states.c.project_slug,
        project_states.c.project_id,
    )
    query = select(*columns).where(_of(str(root)))
    with closing(ReadDoor(journal_path(home))) as door, door.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else ProjectState(*row)


def _foreign(root: Path) -> Path:
    return root / ".arkor" / "state.json"


def _read_file(path: Path) -> ProjectState | None:
    # Any file that does not hold all three counts as none: so the TypeScript tools have it.
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    keys = ("orgSlug", "projectSlug", "projectId")
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in keys):
        return None
    return ProjectState(*(value[key] for key in keys))


def _has_table(folder: Path) -> bool:
    file = folder / "pyproject.toml"
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    # Somebody else's broken file, further up, is none of our business.
    if "tool.arkor" not in text:
        return False
    import tomllib  # only who has such a file pays for its parser

    try:
        return isinstance(tomllib.loads(text).get("tool", {}).get("arkor"), dict)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
