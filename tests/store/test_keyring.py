"""Credentials in the keyring: followed by whoever reads, and never lost to one that fails."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

keyring = pytest.importorskip("keyring", reason="needs the extra: pip install 'arkor[keyring]'")

from keyring.backend import KeyringBackend  # noqa: E402

from arkor.errors import CredentialsError  # noqa: E402
from arkor.store import keyring as ours  # noqa: E402
from arkor.store.credentials import (  # noqa: E402
    AnonymousCredentials,
    OAuthCredentials,
    credentials_path,
    delete_credentials,
    hold_credentials,
    in_keyring,
    read_credentials,
    write_credentials,
)

OLD = OAuthCredentials("access-0", "refresh-0", 1, "d", "a", "c")
NEW = OAuthCredentials("access-1", "refresh-1", 2, "d", "a", "c")


class Memory(KeyringBackend):  # type: ignore[misc]
    """A keyring of this process, which can hang or fail."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.free = threading.Event()
        self.free.set()
        self.fails = False

    def _wait(self) -> None:
        self.free.wait()
        if self.fails:
            raise RuntimeError("access-1 is no secret to me")

    def get_password(self, service: str, username: str) -> str | None:
        self._wait()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._wait()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._wait()
        del self.kept[service, username]


@pytest.fixture
def memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    memory.free.set()
    keyring.set_keyring(before)


def sign_in(*, into: bool = True) -> None:
    with hold_credentials(timeout=1, in_keyring=into) as write:
        write(OLD)


def test_the_file_holds_no_token_and_is_followed(memory: Memory) -> None:
    sign_in()
    assert in_keyring()
    assert json.loads(credentials_path().read_text()) == {"mode": "keyring"}
    assert read_credentials() == OLD
    write_credentials(NEW)  # a refresh stays where the sign-in is
    assert in_keyring()
    assert read_credentials() == NEW
    [(service, account)] = memory.kept
    assert (service, account) == ("arkor", str(credentials_path()))
    assert delete_credentials()
    assert memory.kept == {}
    assert read_credentials() is None


def test_signing_in_to_the_file_empties_the_keyring(memory: Memory) -> None:
    sign_in()
    sign_in(into=False)
    assert not in_keyring()
    assert memory.kept == {}
    assert read_credentials() == OLD


@pytest.mark.parametrize("weather", ["hangs", "fails"])
def test_a_rotated_token_is_not_lost_to_a_keyring_that(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, weather: str
) -> None:
    monkeypatch.setattr(ours, "PATIENCE", 0.05)
    sign_in()
    if weather == "hangs":
        memory.free.clear()
    else:
        memory.fails = True
    with pytest.raises(CredentialsError, match="keyring") as caught:
        read_credentials()  # and no new identity is made up in its place
    with pytest.warns(UserWarning, match="keyring") as warned:
        write_credentials(NEW)
    assert read_credentials() == NEW
    assert credentials_path().stat().st_mode & 0o777 == 0o600
    assert "access-" not in str(caught.value) + "".join(str(each.message) for each in warned)


def test_an_entry_that_is_gone_is_said_so(memory: Memory) -> None:
    sign_in()
    memory.kept.clear()
    with pytest.raises(CredentialsError, match="arkor login"):
        read_credentials()
    write_credentials(AnonymousCredentials("t", "a", "o"))
    assert isinstance(read_credentials(), AnonymousCredentials)
