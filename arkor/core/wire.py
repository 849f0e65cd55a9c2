"""The shapes both ends of the wire agree on: jobs, scopes, adapters, event frames.

JSON on the wire is camelCase. Parsing is loose: a field nobody knows is kept in `extra`, an
unknown status is a status, and only a missing required field is a `ProtocolError`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from arkor.errors import ProtocolError

__all__ = ["TERMINAL_STATUSES", "Adapter", "Job", "Scope", "frame", "parse_job"]

TERMINAL_STATUSES: Final = frozenset({"completed", "failed", "cancelled"})

_LINE_END: Final = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Scope:
    """The organisation and project that a job belongs to."""

    org_slug: str
    project_slug: str

    def to_query(self) -> dict[str, str]:
        """The query parameters that every request about a job or a model carries."""
        return {"orgSlug": self.org_slug, "projectSlug": self.project_slug}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter: a job's final one, or that of a checkpoint (`step` is then set)."""

    kind: Literal["final", "checkpoint"]
    job_id: str
    step: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """The JSON form that chat requests carry."""
        body: dict[str, Any] = {"kind": self.kind, "jobId": self.job_id}
        if self.step is not None:
            body["step"] = self.step
        return body


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the backend shows it. Times are ISO-8601 text, verbatim.

    `status` is one of `queued`, `running`, `completed`, `failed`, `cancelled`, or whatever else
    a newer backend says.
    """

    id: str
    org_id: str
    project_id: str
    name: str
    status: str
    config: Mapping[str, Any]
    created_at: str
    error: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL_STATUSES

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, camelCase, with every field the backend sent."""
        return {
            **self.extra,
            "id": self.id,
            "orgId": self.org_id,
            "projectId": self.project_id,
            "name": self.name,
            "status": self.status,
            "config": dict(self.config),
            "error": self.error,
            "createdAt": self.created_at,
            "startedAt": self.started_at,
            "completedAt": self.completed_at,
        }


_REQUIRED: Final = {
    "id": "id",
    "orgId": "org_id",
    "projectId": "project_id",
    "name": "name",
    "status": "status",
    "createdAt": "created_at",
}
_OPTIONAL: Final = {"error": "error", "startedAt": "started_at", "completedAt": "completed_at"}


def parse_job(value: object) -> Job:
    """Read a job from JSON. Raises `ProtocolError` naming the field that is missing or wrong."""
    if not isinstance(value, dict):
        raise ProtocolError(f"a job must be a JSON object, not {type(value).__name__}")
    fields: dict[str, Any] = {}
    for wire, name in _REQUIRED.items():
        if not isinstance(value.get(wire), str):
            raise ProtocolError(f"a job's `{wire}` must be a string")
        fields[name] = value[wire]
    for wire, name in _OPTIONAL.items():
        given = value.get(wire)
        if given is not None and not isinstance(given, str):
            raise ProtocolError(f"a job's `{wire}` must be a string or null")
        fields[name] = given
    config = value.get("config", {})
    if not isinstance(config, dict):
        raise ProtocolError("a job's `config` must be an object")
    known = {*_REQUIRED, *_OPTIONAL, "config"}
    extra = {key: value[key] for key in value if key not in known}
    return Job(**fields, config=config, extra=extra)


def frame(event: str, data: str, id: str | None = None) -> bytes:
    """One event in `text/event-stream` form (WHATWG HTML, 9.2.5).

    `data` may span lines; whatever ends them, the reader is given LF, as the form has it.
    """
    lines = [f"event: {event}"]
    if id is not None:
        lines.append(f"id: {id}")
    lines.extend(f"data: {line}" for line in _LINE_END.split(data))
    return ("\n".join(lines) + "\n\n").encode()
