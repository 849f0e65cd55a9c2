"""Accepted jobs and their numbered event logs, in the backend's own database.

All of it is called on one thread. Each change is committed, and survives a loss of power, before
anybody hears of it; so an event that was sent once is there for ever, under the same number.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from arkor.backend.sameness import sameness
from arkor.core.wire import TERMINAL_STATUSES, Job
from arkor.errors import ArkorError

__all__ = ["ORG", "Jobs", "Project", "SlugTakenError", "StoredEvent", "new_job_id"]

ORG: Final = "local"
"""The id and the slug of the one organisation there is."""

SCHEMA_VERSION: Final = 1

_metadata = sa.MetaData()
_projects = sa.Table(
    "projects",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
)
_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_id", sa.Text, sa.ForeignKey(_projects.c.id), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("status", sa.Text, nullable=False, server_default="queued"),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("completed_at", sa.Text),
    sa.UniqueConstraint("project_id", "idempotency_key"),
)
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey(_jobs.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    # What makes an event that a resumed trainer sends again the same; null for what has no name.
    sa.Column("sameness", sa.Text),
    sa.UniqueConstraint("job_id", "sameness"),
)

_STATUS_AFTER: Final = {"training.completed": "completed", "training.failed": "failed"}


class SlugTakenError(ArkorError):
    """Another project of the organisation, or another endpoint, has this slug."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project: its jobs are seen in it alone."""

    id: str
    slug: str
    name: str

    def to_wire(self) -> dict[str, Any]:
        """The JSON form."""
        return {"id": self.id, "slug": self.slug, "name": self.name, "orgId": ORG}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of a job. `number` counts from 1 without gaps; `data` is the JSON that is sent."""

    number: int
    type: str
    data: str


class Jobs:
    """The database at `path`, made if it is not there.

    `on_change` is called with a job's id after each change of the job or its events. Every
    method raises `ArkorError` if the database cannot be read or written.
    """

    def __init__(self, path: Path, on_change: Callable[[str], None] = lambda job_id: None) -> None:
        self._path = path
        self._on_change = on_change
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._engine = _engine(path)
        with self._transaction() as connection:
            _prepare(connection, path)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def projects(self) -> list[Project]:
        """All projects, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_projects).order_by(sa.text("rowid")))
            return [Project(row.id, row.slug, row.name) for row in rows]

    def create_project(self, name: str, slug: str) -> Project:
        """Make a project. Raises `SlugTakenError` if another has the slug."""
        project = Project(secrets.token_hex(8), slug, name)
        with self._transaction() as connection:
            taken = connection.scalar(sa.select(_projects.c.id).filter_by(slug=slug))
            if taken is not None:
                raise SlugTakenError(f"there is a project with the slug {slug!r} already")
            connection.execute(_projects.insert().values(id=project.id, slug=slug, name=name))
        return project

    def create(
        self,
        job_id: str,
        project: Project,
        name: str,
        config: Mapping[str, Any],
        idempotency_key: str | None,
    ) -> Job:
        """Accept a job; it waits for its turn from now on."""
        with self._transaction() as connection:
            connection.execute(
                _jobs.insert().values(
                    id=job_id,
                    project_id=project.id,
                    name=name,
                    config=dict(config),
                    idempotency_key=idempotency_key,
                    created_at=_now(),
                )
            )
            # In the same transaction: what raises here has accepted nothing.
            return _job(connection.execute(sa.select(_jobs).filter_by(id=job_id)).one())

    def get(self, job_id: str, project: Project | None = None) -> Job | None:
        """A job, within a project if one is given."""
        return self._one(_jobs.c.id == job_id, project)

    def by_key(self, key: str, project: Project) -> Job | None:
        """The job that was accepted under an idempotency key."""
        return self._one(_jobs.c.idempotency_key == key, project)

    def of_project(self, project: Project) -> list[Job]:
        """The project's jobs, newest first."""
        with self._transaction() as connection:
            query = sa.select(_jobs).filter_by(project_id=project.id)
            return [_job(row) for row in connection.execute(query.order_by(_jobs.c.place.desc()))]

    def unfinished(self) -> list[str]:
        """The jobs that have not ended: those that ran already first, then in their order."""
        query = (
            sa.select(_jobs.c.id)
            .where(_jobs.c.status.not_in(TERMINAL_STATUSES))
            .order_by(_jobs.c.status != "running", _jobs.c.place)
        )
        with self._transaction() as connection:
            return [*connection.scalars(query)]

    def ended(self) -> list[Job]:
        """The jobs that have ended, oldest first."""
        query = sa.select(_jobs).where(_jobs.c.status.in_(TERMINAL_STATUSES))
        with self._transaction() as connection:
            return [_job(row) for row in connection.execute(query.order_by(_jobs.c.place))]

    def mark_running(self, job_id: str) -> None:
        """The job has a process now; one that ran before keeps its start."""
        started = sa.func.coalesce(_jobs.c.started_at, _now())
        self._update(job_id, status="running", started_at=started)

    def request_cancel(self, job_id: str) -> None:
        """Remember that the job is to stop, even if this server does not live to see it."""
        self._update(job_id, cancel_requested=True)

    def cancel_requested(self, job_id: str) -> bool:
        """Whether somebody asked for the job to stop."""
        with self._transaction() as connection:
            query = sa.select(_jobs.c.cancel_requested).filter_by(id=job_id)
            return bool(connection.scalar(query))

    def mark_cancelled(self, job_id: str) -> None:
        """The job has ended `cancelled`; the protocol has no event for it."""
        self._update(job_id, status="cancelled", completed_at=_now())

    def append(self, job_id: str, event: Mapping[str, Any]) -> bool:
        """Number and store one event, and end the job with it if it is a terminal one.

        False, and nothing is stored, for an event that the log has already and for one of a
        job that has ended.
        """
        kind, same, now = str(event["type"]), sameness(event), _now()
        data = {"type": kind, "jobId": job_id, "timestamp": now, **event}
        with self._transaction() as connection:
            status = connection.scalar(sa.select(_jobs.c.status).filter_by(id=job_id))
            # In SQL, unlike in Python, a sameness that is null equals no other.
            seen = (_events.c.job_id == job_id) & (_events.c.sameness == sa.literal(same))
            if status in TERMINAL_STATUSES or connection.scalar(sa.select(sa.exists().where(seen))):
                return False
            connection.execute(
                _events.insert().values(
                    job_id=job_id,
                    number=_last(connection, job_id) + 1,
                    type=kind,
                    data=json.dumps(data, allow_nan=False),
                    sameness=same,
                )
            )
            if kind in _STATUS_AFTER:
                ended = {
                    "status": _STATUS_AFTER[kind],
                    "completed_at": now,
                    "error": event.get("error"),
                }
                connection.execute(_jobs.update().filter_by(id=job_id).values(ended))
        self._on_change(job_id)
        return True

    def last_number(self, job_id: str) -> int:
        """The number of the job's last event, 0 if it has none."""
        with self._transaction() as connection:
            return _last(connection, job_id)

    def events(self, job_id: str, *, after: int, limit: int) -> list[StoredEvent]:
        """The events behind number `after`, in their order."""
        query = (
            sa.select(_events.c.number, _events.c.type, _events.c.data)
            .where(_events.c.job_id == job_id, _events.c.number > after)
            .order_by(_events.c.number)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [StoredEvent(*row) for row in connection.execute(query)]

    def _one(self, condition: sa.ColumnElement[bool], project: Project | None) -> Job | None:
        query = sa.select(_jobs).where(condition)
        if project is not None:
            query = query.filter_by(project_id=project.id)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else _job(row)

    def _update(self, job_id: str, **values: Any) -> None:
        open_job = sa.and_(_jobs.c.id == job_id, _jobs.c.status.not_in(TERMINAL_STATUSES))
        with self._transaction() as connection:
            connection.execute(_jobs.update().where(open_job).values(values))
        self._on_change(job_id)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise ArkorError(f"the backend's database {self._path} failed: {reason}") from error


def new_job_id() -> str:
    """Make an id for a job: 24 hexadecimal digits, not to be guessed."""
    return secrets.token_hex(12)


def _engine(path: Path) -> sa.Engine:
    # Nobody else writes here, so there is no use in waiting long, and everybody waits meanwhile.
    engine = sa.create_engine(
        f"sqlite:///{path}", poolclass=sa.StaticPool, connect_args={"timeout": 0.5}
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _prepare(connection: sa.Connection, path: Path) -> None:
    version = connection.scalar(sa.text("PRAGMA user_version"))
    if version not in (0, SCHEMA_VERSION):
        raise ArkorError(
            f"the backend's database {path} was written by another release of Arkor (its version "
            f"is {version}, this one's {SCHEMA_VERSION}); it is left as it is: upgrade Arkor"
        )
    _metadata.create_all(connection)
    connection.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))


def _last(connection: sa.Connection, job_id: str) -> int:
    query = sa.select(sa.func.max(_events.c.number)).filter_by(job_id=job_id)
    return connection.scalar(query) or 0


def _job(row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        org_id=ORG,
        project_id=row.project_id,
        name=row.name,
        status=row.status,
        config=row.config,
        created_at=row.created_at,
        error=row.error,
        started_at=row.started_at,
        completed_at=row.completed_at,
        extra={"idempotencyKey": row.idempotency_key},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
