"""Deployments: endpoints of one model each, as they are asked for, changed and shown.

As in `arkor.core.wire`, reading is loose: what nobody knows is kept in `extra`, an unknown mode
is a mode, and only a required field that is missing or wrong is a `ProtocolError`.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from arkor.core.deployment_rules import check_changes, check_new
from arkor.core.targets import DeploymentTarget, parse_target
from arkor.errors import ProtocolError

__all__ = [
    "Deployment",
    "DeploymentChanges",
    "NewDeployment",
    "parse_deployment",
]

MANAGED_URL: Final = "https://{slug}.arkor.app/v1"
"""Where the managed cloud serves an endpoint; another backend says so in `baseUrl`."""

_RETENTION: Final = ("runRetentionMode", "runRetentionDays")


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """A deployment to be made. Raises `ConfigError`, which names every field that is wrong.

    `auth_mode` is `fixed_api_key`, or `none` for an endpoint that anybody may ask. The backend
    keeps what was asked for `run_retention_days` days with the `run_retention_mode` `days`, for
    ever with `unlimited`, not at all with `disabled`; if neither is given it decides.
    """

    slug: str
    target: DeploymentTarget
    auth_mode: str = "fixed_api_key"
    run_retention_mode: str | None = None
    run_retention_days: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_new(self.to_wire())

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "NewDeployment":
        """Read the JSON form. Raises `ConfigError`, which names every field that is wrong."""
        check_new(body)
        return cls(**_given(body, ("slug", "target", "authMode", *_RETENTION)))

    def to_wire(self) -> dict[str, Any]:
        """The JSON form; what is not given is left out."""
        given = {
            "slug": self.slug,
            "target": self.target.to_wire(),
            "authMode": self.auth_mode,
            "runRetentionMode": self.run_retention_mode,
            "runRetentionDays": self.run_retention_days,
        }
        return {**self.extra, **_without_none(given)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentChanges:
    """What is to be another in a deployment; `None` stays as it is. The slug always does.

    Raises `ConfigError`, which names every field that is wrong.
    """

    target: DeploymentTarget | None = None
    auth_mode: str | None = None
    enabled: bool | None = None
    run_retention_mode: str | None = None
    run_retention_days: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_changes(self.to_wire())

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "DeploymentChanges":
        """Read the JSON form. Raises `ConfigError`, which names every field that is wrong."""
        check_changes(body)
        return cls(**_given(body, ("target", "authMode", "enabled", *_RETENTION)))

    def to_wire(self) -> dict[str, Any]:
        """The JSON form; what stays as it is is left out."""
        given = {
            "target": None if self.target is None else self.target.to_wire(),
            "authMode": self.auth_mode,
            "enabled": self.enabled,
            "runRetentionMode": self.run_retention_mode,
            "runRetentionDays": self.run_retention_days,
        }
        return {**self.extra, **_without_none(given)}

    def apply(self, deployment: "Deployment", at: str) -> "Deployment":
        """The deployment once it is changed, at the time `at` (ISO-8601)."""
        names = ("target", "auth_mode", "enabled")
        given = _without_none({name: getattr(self, name) for name in names})
        if self.run_retention_mode is not None:
            # Both, since the days of one mode mean nothing in another.
            given["run_retention_mode"] = self.run_retention_mode
            given["run_retention_days"] = self.run_retention_days
        return replace(deployment, **given, updated_at=at)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An endpoint as the backend shows it. Times are ISO-8601 text, verbatim.

    `auth_mode` is `none` or `fixed_api_key`, `url_format` `openai_compat`, or whatever else a
    newer backend says. One that is not `enabled` answers 404, and keeps its slug.
    """

    id: str
    slug: str
    org_id: str
    project_id: str
    target: DeploymentTarget
    auth_mode: str
    url_format: str
    enabled: bool
    created_at: str
    updated_at: str
    custom_domain: str | None = None
    run_retention_mode: str | None = None
    run_retention_days: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """The `base_url` for an OpenAI client; it ends in `/v1`."""
        given = self.extra.get("baseUrl")
        if isinstance(given, str) and given.startswith(("http://", "https://")):
            return given.rstrip("/")
        return MANAGED_URL.format(slug=self.slug)

    @property
    def url(self) -> str:
        """Where chat completions are asked for, with POST."""
        return f"{self.base_url}/chat/completions"

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, camelCase, with every field the backend sent."""
        kept = {
            "runRetentionMode": self.run_retention_mode,
            "runRetentionDays": self.run_retention_days,
        }
        return {
            **self.extra,
            "id": self.id,
            "slug": self.slug,
            "orgId": self.org_id,
            "projectId": self.project_id,
            "target": self.target.to_wire(),
            "authMode": self.auth_mode,
            "urlFormat": self.url_format,
            "enabled": self.enabled,
            "customDomain": self.custom_domain,
            **_without_none(kept),
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


_TEXTS: Final = {
    "id": "id",
    "slug": "slug",
    "orgId": "org_id",
    "projectId": "project_id",
    "authMode": "auth_mode",
    "urlFormat": "url_format",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
_OTHERS: Final[dict[str, tuple[str, type]]] = {
    "customDomain": ("custom_domain", str),
    "runRetentionMode": ("run_retention_mode", str),
    "runRetentionDays": ("run_retention_days", int),
}
_KINDS: Final = {str: "a string", int: "a whole number"}
_NAMES: Final = {
    **_TEXTS,
    **{wire: name for wire, (name, _) in _OTHERS.items()},
    "target": "target",
    "enabled": "enabled",
}


def parse_deployment(value: object) -> Deployment:
    """Read a deployment from JSON. Raises `ProtocolError` naming the field that is wrong."""
    if not isinstance(value, Mapping):
        raise ProtocolError(f"a deployment must be a JSON object, not {type(value).__name__}")
    fields: dict[str, Any] = {}
    for wire, name in _TEXTS.items():
        if not isinstance(value.get(wire), str):
            raise ProtocolError(f"a deployment's `{wire}` must be a string")
        fields[name] = value[wire]
    for wire, (name, kind) in _OTHERS.items():
        given = value.get(wire)
        if given is not None and not isinstance(given, kind):
            raise ProtocolError(f"a deployment's `{wire}` must be {_KINDS[kind]} or null")
        fields[name] = given
    if not isinstance(value.get("enabled"), bool):
        raise ProtocolError("a deployment's `enabled` must be true or false")
    return Deployment(
        **fields,
        enabled=value["enabled"],
        target=parse_target(value.get("target")),
        extra=_rest(value, _NAMES),
    )


def _given(body: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The arguments for a body that has been checked; what nobody knows is `extra`."""
    given = {_NAMES[wire]: body[wire] for wire in names if wire in body}
    if "target" in given:
        given["target"] = parse_target(given["target"])
    return {**given, "extra": _rest(body, names)}


def _rest(value: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    return {key: value[key] for key in value if key not in known}


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}
