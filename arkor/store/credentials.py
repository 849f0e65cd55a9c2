"""Who this machine is signed in as: one private file, the same JSON as the TypeScript tools'.

Where the keyring is asked for, that JSON is there, and the file only says so. What the file
holds always wins, so a keyring that fails in the middle of an exchange of tokens loses none.
"""

import json
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from arkor.errors import ArkorWarning, CredentialsError
from arkor.store import keyring, paths
from arkor.store.filelock import file_lock
from arkor.store.files import write_private

__all__ = [
    "AnonymousCredentials",
    "Credentials",
    "OAuthCredentials",
    "credentials_path",
    "delete_credentials",
    "hold_credentials",
    "in_keyring",
    "read_credentials",
    "write_credentials",
]


@dataclass(frozen=True, slots=True)
class AnonymousCredentials:
    """An identity the backend made up for this machine; the token is never refreshed."""

    token: str = field(repr=False)
    anonymous_id: str
    org_slug: str
    arkor_cloud_api_url: str | None = None


@dataclass(frozen=True, slots=True)
class OAuthCredentials:
    """A user who signed in. `expires_at` is Unix time in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: int
    auth0_domain: str
    audience: str
    client_id: str
    arkor_cloud_api_url: str | None = None

    @property
    def token(self) -> str:
        """The bearer token of requests."""
        return self.access_token


Credentials = AnonymousCredentials | OAuthCredentials

_IN_KEYRING: Final = '{"mode": "keyring"}'
"""What the file holds if the credentials are in the keyring, under the file's path."""

_ANONYMOUS: Final = {"token": "token", "anonymous_id": "anonymousId", "org_slug": "orgSlug"}
_OAUTH: Final = {
    "access_token": "accessToken",
    "refresh_token": "refreshToken",
    "auth0_domain": "auth0Domain",
    "audience": "audience",
    "client_id": "clientId",
}


def credentials_path(home: Path | str | None = None) -> Path:
    """The file that `write_credentials` writes."""
    return paths.credentials_path(home)


def read_credentials(home: Path | str | None = None) -> Credentials | None:
    """The stored credentials, or those of the TypeScript tools; `None` if there are none.

    Without `home`, those in `ARKOR_HOME`, else in the default folder: a folder that only a
    project's settings name is not looked for.

    A file that others can read is narrowed to 0600, with a warning. Raises `CredentialsError`
    if a file is there and cannot be used.
    """
    own = credentials_path(home)
    text = _read(own, narrow=True)
    if text is not None:
        return _parse(_from_keyring(own) if _is_pointer(text) else text, own)
    # A file of the TypeScript tools is read, and left exactly as it is.
    foreign = Path.home() / ".arkor" / "credentials.json"
    text = _read(foreign, narrow=False)
    return None if text is None else _parse(text, foreign)


def _from_keyring(path: Path) -> str:
    try:
        text = keyring.read_secret(str(path))
    except CredentialsError as error:
        raise CredentialsError(
            f"the credentials are in the keyring, says {path}, and {error}; unlock it, or run "
            "`ARKOR_CREDENTIALS=file arkor login`",
            path=path,
        ) from error
    if text is None:
        raise CredentialsError(
            f"the credentials are in the keyring, says {path}, and are not; run `arkor login`",
            path=path,
        )
    return text


def write_credentials(credentials: Credentials, home: Path | str | None = None) -> None:
    """Store the credentials, replacing what is there; durable when this returns.

    Raises `CredentialsError` if the file cannot be written: then the old one is still there.
    """
    with hold_credentials(home, timeout=10) as write:
        write(credentials)


@contextmanager
def hold_credentials(
    home: Path | str | None = None, *, timeout: float, in_keyring: bool | None = None
) -> Iterator[Callable[[Credentials], None]]:
    """Keep the credentials for this process within the block; what it yields stores others.

    For whoever gets new ones in exchange for the old: of many processes that want to, one does.
    They go to the keyring if `in_keyring`; by default to where the present ones are. A keyring
    that fails costs nothing but its secrecy: they are in the file then, with a warning.
    Raises `ArkorError` naming the holder after `timeout` seconds, `CredentialsError` if the
    file cannot be written.
    """
    path = credentials_path(home)
    paths.ensure_home(path.parent)
    with ExitStack() as stack:
        with _writing(path):
            stack.enter_context(file_lock(path.with_name("credentials.json.lock"), timeout=timeout))
        yield partial(_store, path, in_keyring)


def in_keyring(home: Path | str | None = None) -> bool:
    """Whether the file says that the credentials are in the keyring. Nobody asks the keyring."""
    return _is_pointer(_read(credentials_path(home), narrow=False))


def _points(path: Path) -> bool:
    # A damaged file is nobody's failure here: it is about to be replaced, or removed.
    return path.is_file() and path.read_bytes() == _IN_KEYRING.encode()


def _is_pointer(text: str | None) -> bool:
    return text == _IN_KEYRING


def _store(path: Path, wished: bool | None, credentials: Credentials) -> None:
    text = json.dumps(_to_json(credentials), indent=2)
    before = _points(path)
    kept = (before if wished is None else wished) and _kept_in_keyring(path, text)
    with _writing(path):
        data = (_IN_KEYRING if kept else text).encode()
        write_private(path, data, part=path.with_name("credentials.json.part"))
    if before and not kept:
        _forget(path)


def _kept_in_keyring(path: Path, text: str) -> bool:
    try:
        keyring.write_secret(str(path), text)
    except CredentialsError as error:
        said = f"{error}; the credentials are in {path} (mode 0600) instead"
        warnings.warn(said, ArkorWarning, stacklevel=4)
        return False
    return True


def _forget(path: Path) -> None:
    try:
        keyring.delete_secret(str(path))
    except CredentialsError as error:
        said = f"{error}; what it keeps for {path} is still there"
        warnings.warn(said, ArkorWarning, stacklevel=4)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CredentialsError(
            f"the credentials file {path} cannot be written: {error.strerror}; "
            "what was there before is unchanged",
            path=path,
        ) from error


def delete_credentials(home: Path | str | None = None) -> bool:
    """Sign out on this machine. False if there was nothing to delete.

    Raises `CredentialsError` if the file cannot be removed.
    """
    path = credentials_path(home)
    pointer = _points(path)
    if pointer:
        _forget(path)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CredentialsError(
            f"the credentials file {path} cannot be removed: {error.strerror}", path=path
        ) from error
    return True


def _read(path: Path, *, narrow: bool) -> str | None:
    try:
        with path.open("rb") as stream:
            if narrow:
                _narrow(path, stream.fileno())
            return stream.read().decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialsError(
            f"the credentials file {path} cannot be read: {error.strerror}; "
            "make it readable, or remove it and run `arkor login`",
            path=path,
        ) from error
    except UnicodeDecodeError as error:
        raise _corrupt(path, "it is not UTF-8 text") from error


def _narrow(path: Path, file: int) -> None:
    mode = stat.S_IMODE(os.fstat(file).st_mode)
    if mode & paths.OTHERS:
        os.fchmod(file, 0o600)
        warnings.warn(
            f"{path} could be read by others (mode {mode:04o}); it is 0600 now",
            ArkorWarning,
            stacklevel=4,
        )


def _parse(text: str, path: Path) -> Credentials:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _corrupt(path, "it is not JSON") from error
    if not isinstance(value, dict):
        raise _corrupt(path, "it is not a JSON object")
    url = value.get("arkorCloudApiUrl")
    if url is not None and not isinstance(url, str):
        raise _corrupt(path, "its `arkorCloudApiUrl` is not text")
    match value.get("mode"):
        case "anon":
            texts = _texts(value, _ANONYMOUS, path)
            return AnonymousCredentials(**texts, arkor_cloud_api_url=url)
        case "oauth":
            texts = _texts(value, _OAUTH, path)
            expires_at = value.get("expiresAt")
            if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
                raise _corrupt(path, "its `expiresAt` is not a number")
            return OAuthCredentials(**texts, expires_at=int(expires_at), arkor_cloud_api_url=url)
        case _:
            raise _corrupt(path, "its `mode` is neither `anon` nor `oauth`")


def _texts(value: Mapping[str, Any], keys: Mapping[str, str], path: Path) -> dict[str, str]:
    for key in keys.values():
        if not isinstance(value.get(key), str):
            raise _corrupt(path, f"its `{key}` is missing or not text")
    return {name: value[key] for name, key in keys.items()}


def _corrupt(path: Path, why: str) -> CredentialsError:
    return CredentialsError(
        f"the credentials file {path} is damaged: {why}. It was left as it is; "
        "`arkor login` replaces it",
        path=path,
    )


def _to_json(credentials: Credentials) -> dict[str, object]:
    value: dict[str, object]
    if isinstance(credentials, AnonymousCredentials):
        value = {"mode": "anon"}
        value |= {key: getattr(credentials, name) for name, key in _ANONYMOUS.items()}
    else:
        value = {"mode": "oauth"}
        value |= {key: getattr(credentials, name) for name, key in _OAUTH.items()}
        value["expiresAt"] = credentials.expires_at
    # An empty address is a known one; only an unknown one is left out.
    if credentials.arkor_cloud_api_url is not None:
        value["arkorCloudApiUrl"] = credentials.arkor_cloud_api_url
    return value
