"""The keys of a deployment: as it is issued, which is the one time its text is shown, and later."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from arkor.errors import ProtocolError

__all__ = ["DeploymentKey", "IssuedKey", "parse_issued_key", "parse_key"]


@dataclass(frozen=True, slots=True)
class DeploymentKey:
    """A key as it is listed. Times are ISO-8601 text, verbatim.

    `prefix` is how its text begins. One that is not `enabled` was revoked. `last_used_at` is as
    exact as the backend cares to be.
    """

    id: str
    label: str
    prefix: str
    enabled: bool
    created_at: str
    last_used_at: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, camelCase."""
        return {
            **self.extra,
            "id": self.id,
            "label": self.label,
            "prefix": self.prefix,
            "enabled": self.enabled,
            "createdAt": self.created_at,
            "lastUsedAt": self.last_used_at,
        }


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `plaintext` is what opens the endpoint; no later answer of the backend has it."""

    id: str
    label: str
    prefix: str
    created_at: str
    plaintext: str = field(repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, camelCase, with the plaintext."""
        return {
            **self.extra,
            "id": self.id,
            "label": self.label,
            "plaintext": self.plaintext,
            "prefix": self.prefix,
            "createdAt": self.created_at,
        }


_TEXTS: Final = {"id": "id", "label": "label", "prefix": "prefix", "createdAt": "created_at"}
_LISTED: Final = {*_TEXTS, "enabled", "lastUsedAt", "plaintext"}
_ISSUED: Final = {*_TEXTS, "plaintext"}


def parse_key(value: object) -> DeploymentKey:
    """Read a key of a list; a plaintext, which has no place there, is dropped.

    Raises `ProtocolError` naming the field that is missing or wrong.
    """
    found = _object(value)
    used = found.get("lastUsedAt")
    if used is not None and not isinstance(used, str):
        raise ProtocolError("a key's `lastUsedAt` must be a string or null")
    if not isinstance(found.get("enabled"), bool):
        raise ProtocolError("a key's `enabled` must be true or false")
    extra = _rest(found, _LISTED)
    return DeploymentKey(**_texts(found), enabled=found["enabled"], last_used_at=used, extra=extra)


def parse_issued_key(value: object) -> IssuedKey:
    """Read a new key. Raises `ProtocolError` naming the field that is missing or wrong."""
    found = _object(value)
    if not isinstance(found.get("plaintext"), str):
        raise ProtocolError("a new key's `plaintext` must be a string")
    extra = _rest(found, _ISSUED)
    return IssuedKey(**_texts(found), plaintext=found["plaintext"], extra=extra)


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ProtocolError(f"a key must be a JSON object, not {type(value).__name__}")
    return value


def _texts(value: Mapping[str, Any]) -> dict[str, str]:
    for wire in _TEXTS:
        if not isinstance(value.get(wire), str):
            raise ProtocolError(f"a key's `{wire}` must be a string")
    return {name: value[wire] for wire, name in _TEXTS.items()}


def _rest(value: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: value[key] for key in value if key not in known}
