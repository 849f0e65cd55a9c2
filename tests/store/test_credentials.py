"""The credentials file: private, whole, and never replaced by accident."""

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from arkor.errors import CredentialsError
from arkor.store.credentials import (
    AnonymousCredentials,
    Credentials,
    OAuthCredentials,
    credentials_path,
    delete_credentials,
    read_credentials,
    write_credentials,
)

ANONYMOUS = AnonymousCredentials("anon-secret", "a-1", "anon-org", "https://api.example")
OAUTH = OAuthCredentials("acc-secret", "ref-secret", 1735000000, "t.auth0.com", "aud", "cid")


@pytest.mark.parametrize(
    "credentials", [ANONYMOUS, OAUTH, replace(ANONYMOUS, arkor_cloud_api_url="")]
)
def test_what_was_written_is_read(home: Path, credentials: Credentials) -> None:
    write_credentials(credentials)
    assert read_credentials() == credentials
    assert credentials_path() == home / "credentials.json"
    assert home.stat().st_mode & 0o777 == 0o700
    assert credentials_path().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.glob("*.part")] == []


def test_the_file_is_that_of_the_typescript_tools(home: Path) -> None:
    write_credentials(ANONYMOUS)
    assert json.loads(credentials_path().read_text()) == {
        "mode": "anon",
        "token": "anon-secret",
        "anonymousId": "a-1",
        "orgSlug": "anon-org",
        "arkorCloudApiUrl": "https://api.example",
    }
    write_credentials(OAUTH)
    assert json.loads(credentials_path().read_text()) == {
        "mode": "oauth",
        "accessToken": "acc-secret",
        "refreshToken": "ref-secret",
        "expiresAt": 1735000000,
        "auth0Domain": "t.auth0.com",
        "audience": "aud",
        "clientId": "cid",
    }


def test_no_repr_shows_a_token() -> None:
    assert "secret" not in repr(ANONYMOUS) + repr(OAUTH)
    assert (ANONYMOUS.token, OAUTH.token) == ("anon-secret", "acc-secret")


def test_none_are_none(home: Path) -> None:
    assert read_credentials() is None
    assert delete_credentials() is False
    assert not home.exists()


def test_signing_out_removes_the_file(home: Path) -> None:
    write_credentials(ANONYMOUS)
    assert delete_credentials() is True
    assert read_credentials() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\udcff",
        '{"mode": "x"}',
        '{"mode": "anon", "token": "secret"}',
        '{"mode": "anon", "token": "secret", "anonymousId": "a", "orgSlug": 1}',
        '{"mode": "oauth", "arkorCloudApiUrl": 1}',
    ],
)
def test_a_damaged_file_is_named_and_left_as_it_is(home: Path, text: str) -> None:
    home.mkdir()
    data = text.encode("utf-8", "surrogateescape")
    os.close(os.open(credentials_path(), os.O_CREAT, 0o600))
    credentials_path().write_bytes(data)
    with pytest.raises(CredentialsError, match="arkor login") as caught:
        read_credentials()
    assert str(credentials_path()) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert credentials_path().read_bytes() == data


def test_a_folder_in_its_place_is_an_error(home: Path) -> None:
    home.mkdir(mode=0o700)
    credentials_path().mkdir()
    with pytest.raises(CredentialsError, match="arkor login"):
        read_credentials()
    with pytest.raises(CredentialsError, match="cannot be written"):
        write_credentials(ANONYMOUS)
    assert [path.name for path in home.glob("*.part")] == []


def test_wide_permissions_are_narrowed_with_one_warning(home: Path) -> None:
    write_credentials(ANONYMOUS)
    credentials_path().chmod(0o644)
    with pytest.warns(UserWarning, match="could be read by others"):
        read_credentials()
    assert credentials_path().stat().st_mode & 0o777 == 0o600
    with warnings.catch_warnings(action="error"):
        read_credentials()


def test_a_typescript_file_is_read_and_left_as_it_is(home: Path) -> None:
    foreign = home.parent / ".arkor" / "credentials.json"
    foreign.parent.mkdir()
    foreign.write_text(
        json.dumps({"mode": "anon", "token": "t", "anonymousId": "a", "orgSlug": "o"})
    )
    foreign.chmod(0o644)
    assert read_credentials() == AnonymousCredentials("t", "a", "o")
    assert foreign.stat().st_mode & 0o777 == 0o644
    write_credentials(OAUTH)
    assert read_credentials() == OAUTH
    assert json.loads(foreign.read_text())["token"] == "t"
