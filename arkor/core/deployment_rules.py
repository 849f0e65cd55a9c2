"""What a deployment, a change of one and a key's label must be like to be accepted.

Both ends of the wire look here: a client before it sends, the embedded backend when it receives.
A rule is about one field; all that is wrong with a body is said at once.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from arkor.errors import ConfigError

__all__ = [
    "AUTH_MODES",
    "LONGEST_LABEL",
    "RETENTION_MODES",
    "check_changes",
    "check_label",
    "check_new",
]

AUTH_MODES: Final = ("none", "fixed_api_key")
RETENTION_MODES: Final = ("unlimited", "disabled", "days")

LONGEST_LABEL: Final = 80
"""Characters that the label of a key has at most."""

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,48}[a-z0-9]")
_ABSENT: Final = object()

Fault = tuple[str, str]
"""The path of a field in the body, and what it must be."""


def check_new(body: Mapping[str, Any]) -> None:
    """Check the body that makes a deployment. Raises `ConfigError`, which names every fault."""
    _refuse(
        [
            *_slug(body.get("slug")),
            *_target(body.get("target")),
            *_one_of("authMode", body.get("authMode"), AUTH_MODES),
            *_retention(body),
        ]
    )


def check_changes(body: Mapping[str, Any]) -> None:
    """Check the body that changes a deployment: any of its fields but the slug.

    Raises `ConfigError`, which names every fault.
    """
    faults: list[Fault] = []
    if "slug" in body:
        faults.append(("slug", "cannot be changed; make another endpoint and delete this one"))
    if "target" in body:
        faults += _target(body["target"])
    if "authMode" in body:
        faults += _one_of("authMode", body["authMode"], AUTH_MODES)
    if "enabled" in body and not isinstance(body["enabled"], bool):
        faults.append(("enabled", "must be true or false"))
    _refuse([*faults, *_retention(body)])


def check_label(label: object) -> str:
    """The label of a key, trimmed. Raises `ConfigError` unless 1 to 80 characters are left."""
    if not isinstance(label, str) or not 1 <= len(label.strip()) <= LONGEST_LABEL:
        _refuse([("label", f"must be a text of 1 to {LONGEST_LABEL} characters")])
    return str(label).strip()


def _slug(value: object) -> Iterator[Fault]:
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        yield "slug", "must be 2 to 50 of a-z, 0-9 and '-', with no '-' at either end"


def _target(value: object) -> Iterator[Fault]:
    match value:
        case {"kind": "base_model", "baseModel": str(model)}:
            if not model.strip():
                yield "target.baseModel", "must be a text that is not empty"
        case {"kind": "base_model"}:
            yield "target.baseModel", "must be the id of a model"
        case {"kind": "adapter", "adapter": Mapping() as adapter}:
            yield from _adapter(adapter)
        case {"kind": "adapter"}:
            yield "target.adapter", "must be an object with `kind` and `jobId`"
        case Mapping():
            yield "target.kind", "must be 'adapter' or 'base_model'"
        case _:
            yield "target", "must be an object with `kind` 'adapter' or 'base_model'"


def _adapter(adapter: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _one_of("target.adapter.kind", adapter.get("kind"), ("final", "checkpoint"))
    job_id, step = adapter.get("jobId"), adapter.get("step")
    if not isinstance(job_id, str) or not job_id:
        yield "target.adapter.jobId", "must be the id of a job"
    if adapter.get("kind") == "checkpoint" and not _whole(step, least=0):
        yield "target.adapter.step", "must be the step of a checkpoint, a whole number"


def _retention(body: Mapping[str, Any]) -> Iterator[Fault]:
    mode, days = body.get("runRetentionMode", _ABSENT), body.get("runRetentionDays", _ABSENT)
    if mode is not _ABSENT:
        yield from _one_of("runRetentionMode", mode, RETENTION_MODES)
    if mode == "days" and not _whole(days, least=1):
        yield "runRetentionDays", "must be a whole number of at least 1 with the mode 'days'"
    if mode != "days" and days is not _ABSENT:
        yield "runRetentionDays", "may be given with the `runRetentionMode` 'days' only"


def _one_of(path: str, value: object, known: tuple[str, ...]) -> Iterator[Fault]:
    if value not in known:
        yield path, f"must be {' or '.join(map(repr, known))}"


def _whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _refuse(faults: list[Fault]) -> None:
    if faults:
        said = "; ".join(f"{path}: {reason}" for path, reason in faults)
        raise ConfigError(said, field=faults[0][0])
