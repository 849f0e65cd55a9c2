"""The endpoints and the digests of their keys, in one small file of the backend's folder.

All of it is called on one thread. A change is on disk before anybody hears of it. Of a key there
is only its SHA-256, which is enough for a text of 192 random bits: nothing is left to be guessed.
"""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from arkor.backend.folder import write_private
from arkor.backend.jobs import ORG, Project, SlugTakenError
from arkor.core.deployment_keys import DeploymentKey, IssuedKey, parse_key
from arkor.core.deployments import (
    Deployment,
    DeploymentChanges,
    NewDeployment,
    parse_deployment,
)
from arkor.errors import ArkorError, ProtocolError

__all__ = ["Deployments", "Endpoint", "StoredKey"]

log = logging.getLogger("arkor.backend")

FORMAT: Final = 1
DEFAULT_DAYS: Final = 7
KEY_MARK: Final = "ark_live_"
SHOWN: Final = len(KEY_MARK) + 8
"""Characters of a key that are kept, so that people can tell one from another."""

USE_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key, and the SHA-256 of its text in hex."""

    key: DeploymentKey
    sha256: str

    def opens(self, text: str) -> bool:
        """Whether `text` is this key's, and it was not revoked."""
        given = hashlib.sha256(text.encode()).hexdigest()
        return self.key.enabled and hmac.compare_digest(given, self.sha256)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A deployment with its keys, oldest first."""

    deployment: Deployment
    keys: tuple[StoredKey, ...] = ()

    def key(self, key_id: str) -> StoredKey | None:
        """The key with this id."""
        return next((each for each in self.keys if each.key.id == key_id), None)

    def opened_by(self, text: str) -> StoredKey | None:
        """The key whose text this is, unless it was revoked."""
        return next((each for each in self.keys if each.opens(text)), None)

    def with_key(self, stored: StoredKey) -> "Endpoint":
        """The endpoint with this key in the place of the one with its id, or behind the others."""
        if self.key(stored.key.id) is None:
            return replace(self, keys=(*self.keys, stored))
        keys = (stored if each.key.id == stored.key.id else each for each in self.keys)
        return replace(self, keys=tuple(keys))


class Deployments:
    """The endpoints that the file at `path` holds; there are none while there is no file.

    Raises `ArkorError` if it cannot be read. What changes something raises `OSError` if it
    cannot be written, and has changed nothing then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._endpoints = _read(path)

    def of_project(self, project: Project) -> list[Endpoint]:
        """The project's endpoints, newest first."""
        found = [each for each in self._endpoints.values() if _belongs(each, project)]
        return found[::-1]

    def get(self, deployment_id: str, project: Project) -> Endpoint | None:
        """An endpoint of the project."""
        found = self._endpoints.get(deployment_id)
        return found if found is not None and _belongs(found, project) else None

    def by_slug(self, slug: str) -> Endpoint | None:
        """The endpoint of any project that has this slug; no two have the same."""
        found = (each for each in self._endpoints.values() if each.deployment.slug == slug)
        return next(found, None)

    def create(self, new: NewDeployment, project: Project) -> Endpoint:
        """Make an endpoint. Raises `SlugTakenError` if another one has its slug."""
        if self.by_slug(new.slug) is not None:
            raise SlugTakenError(f"there is an endpoint with the slug {new.slug!r} already")
        now = _now()
        mode = new.run_retention_mode or "days"
        days = DEFAULT_DAYS if new.run_retention_mode is None else new.run_retention_days
        deployment = Deployment(
            id=secrets.token_hex(12),
            slug=new.slug,
            org_id=ORG,
            project_id=project.id,
            target=new.target,
            auth_mode=new.auth_mode,
            url_format="openai_compat",
            enabled=True,
            created_at=now,
            updated_at=now,
            run_retention_mode=mode,
            run_retention_days=days,
        )
        return self._put(Endpoint(deployment))

    def change(self, endpoint: Endpoint, changes: DeploymentChanges) -> Endpoint:
        """Change an endpoint."""
        deployment = changes.apply(endpoint.deployment, _now())
        return self._put(replace(endpoint, deployment=deployment))

    def delete(self, endpoint: Endpoint) -> None:
        """Forget an endpoint and its keys; its slug is free."""
        kept = dict(self._endpoints)
        kept.pop(endpoint.deployment.id, None)
        self._keep(kept)

    def issue(self, endpoint: Endpoint, label: str) -> IssuedKey:
        """Make a key. Only what this returns has its text."""
        text = KEY_MARK + secrets.token_hex(24)
        issued = IssuedKey(secrets.token_hex(8), label, text[:SHOWN], _now(), text)
        key = DeploymentKey(
            issued.id, label, issued.prefix, enabled=True, created_at=issued.created_at
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._put(endpoint.with_key(StoredKey(key, digest)))
        return issued

    def revoke(self, endpoint: Endpoint, stored: StoredKey) -> None:
        """Let a key open nothing from now on."""
        revoked = replace(stored.key, enabled=False)
        self._put(endpoint.with_key(replace(stored, key=revoked)))

    def note_use(self, endpoint: Endpoint, stored: StoredKey) -> None:
        """Remember when a key was used, to the minute; a request never fails because of it."""
        last, now = stored.key.last_used_at, _now()
        if last is not None and _time(now) - _time(last) < USE_NOTED_EVERY:
            return
        used = replace(stored.key, last_used_at=now)
        try:
            self._put(endpoint.with_key(replace(stored, key=used)))
        except OSError as error:
            log.error("the use of the key %s cannot be noted: %s", stored.key.id, error)

    def _put(self, endpoint: Endpoint) -> Endpoint:
        self._keep({**self._endpoints, endpoint.deployment.id: endpoint})
        return endpoint

    def _keep(self, endpoints: dict[str, Endpoint]) -> None:
        content = {"format": FORMAT, "endpoints": [_to_json(each) for each in endpoints.values()]}
        write_private(self._path, json.dumps(content, indent=1).encode())
        self._endpoints = endpoints


def _belongs(endpoint: Endpoint, project: Project) -> bool:
    return endpoint.deployment.project_id == project.id


def _to_json(endpoint: Endpoint) -> dict[str, Any]:
    keys = [each.key.to_wire() | {"sha256": each.sha256} for each in endpoint.keys]
    return {"deployment": endpoint.deployment.to_wire(), "keys": keys}


def _read(path: Path) -> dict[str, Endpoint]:
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ArkorError(
                f"{path} was written by another release of Arkor (its format is "
                f"{content['format']}, this one's {FORMAT}); it is left as it is: upgrade Arkor"
            )
        found = map(_endpoint, content["endpoints"])
        return {each.deployment.id: each for each in found}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, ProtocolError) as error:
        raise ArkorError(
            f"the endpoints in {path} cannot be read ({error!r}); it is left as it is: repair it, "
            "or move it away to begin without endpoints"
        ) from error


def _endpoint(value: Mapping[str, Any]) -> Endpoint:
    return Endpoint(parse_deployment(value["deployment"]), tuple(_keys(value["keys"])))


def _keys(values: Iterable[Mapping[str, Any]]) -> Iterable[StoredKey]:
    for value in values:
        key = parse_key({name: value[name] for name in value if name != "sha256"})
        yield StoredKey(key, str(value["sha256"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
