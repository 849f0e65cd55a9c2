"""Bringing a journal to today's schema, and refusing one from tomorrow.

A revision's id is the prefix of its file's name, so that a journal which is up to date is known
without importing alembic (which costs more than the rest of the package).
"""

import threading
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from arkor.errors import JournalError, JournalTooNewError

__all__ = ["current_revision", "is_behind", "migrations_folder", "revisions", "upgrade"]

_UPGRADING: Final = threading.Lock()
"""Alembic keeps the migration under way in names of its own modules: one at a time."""


def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def revisions(folder: Path) -> list[str]:
    """The ids of all migrations, oldest first."""
    return sorted(path.name.partition("_")[0] for path in folder.glob("versions/[0-9]*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision the journal is at; `None` if it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def is_behind(connection: Connection, folder: Path, path: Path) -> bool:
    """Whether the journal at `path` needs `upgrade`.

    Raises `JournalTooNewError` if a newer Arkor wrote it, `JournalError` if it is the database
    of something else.
    """
    known, current = revisions(folder), current_revision(connection)
    if current is None:
        if tables := inspect(connection).get_table_names():
            raise JournalError(
                f"{path} is a database, but no journal of Arkor's (it has the table {tables[0]}); "
                "it was left as it is. Set ARKOR_HOME to another folder",
                path=path,
            )
        return True
    if current not in known:
        raise JournalTooNewError(
            f"the journal {path} was written by a newer Arkor (schema {current}, this one knows "
            f"up to {known[-1]}); it was left as it is. Upgrade with `pip install -U arkor`",
            path=path,
        )
    return current != known[-1]


def upgrade(connection: Connection, folder: Path) -> None:
    """Run the missing migrations within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    # Alembic commits after each migration unless SQLAlchemy, too, knows of a transaction.
    if not connection.in_transaction():
        connection.begin()
    with _UPGRADING:
        command.upgrade(config, "head")
