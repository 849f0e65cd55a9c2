"""Who we are to the backend: the environment, the file, or a new anonymous identity."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arkor.errors import AnonymousTokenRejectedError, ArkorError, CredentialsError
from arkor.runner.identity import (
    CLOUD,
    EnvironmentToken,
    current_identity,
    default_arkor_cloud_api_url,
    ensure_credentials,
)
from arkor.store.credentials import (
    AnonymousCredentials,
    credentials_path,
    hold_credentials,
    write_credentials,
)
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Received, answer_json

ROOT = Path(__file__).parents[2]
STORED = AnonymousCredentials("stored-token-0123456789", "anon-7", "stored-org", "https://staging")


def ensure(backend: ScriptedBackend, home: Path) -> object:
    return asyncio.run(ensure_credentials(home=home, base_url=backend.url))


def test_the_first_time_an_identity_is_made_and_kept(home: Path) -> None:
    with ScriptedBackend() as backend:
        made, again = ensure(backend, home), ensure(backend, home)
        assert [(r.path, r.json()) for r in backend.requests] == [
            ("/v1/auth/anonymous", {"kind": "cli"})
        ]
        assert "authorization" not in backend.requests[0].headers
        address = backend.url
    assert made == again == current_identity(home)
    assert made == AnonymousCredentials("scripted-token-0123456789", "anon-1", "anon-org", address)
    assert credentials_path(home).stat().st_mode & 0o777 == 0o600


def test_a_stored_identity_is_used_as_it_is(home: Path) -> None:
    write_credentials(STORED, home)
    with ScriptedBackend() as backend:
        assert ensure(backend, home) == STORED
        assert backend.requests == []


def test_the_environments_token_wins_and_is_never_stored(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "environment-token-0123456789"
    monkeypatch.setenv("ARKOR_TOKEN", token)
    with ScriptedBackend() as backend:
        identity = ensure(backend, home)
        assert identity == EnvironmentToken(token)
        assert token not in repr(identity)
        assert not home.exists()
        write_credentials(STORED, home)
        assert ensure(backend, home) == current_identity(home) == EnvironmentToken(token)
        assert backend.requests == []
    assert token not in "".join(file.read_text() for file in home.iterdir())
    monkeypatch.setenv("ARKOR_TOKEN", "")
    assert current_identity(home) == STORED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"mode":"anon"}', b"\xff\xfe", b"null"])
def test_a_damaged_file_is_named_and_never_replaced(home: Path, content: bytes) -> None:
    home.mkdir()
    path = credentials_path(home)
    path.write_bytes(content)
    path.chmod(0o600)
    with ScriptedBackend() as backend:
        with pytest.raises(CredentialsError, match="arkor login") as caught:
            ensure(backend, home)
        assert backend.requests == []
    assert caught.value.path == str(path)
    assert path.read_bytes() == content


def test_a_refusal_leaves_nothing_behind(home: Path) -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/auth/anonymous", answer_json({"error": "disabled"}, 403))
        with pytest.raises(AnonymousTokenRejectedError, match=r"403.*disabled"):
            ensure(backend, home)
    assert current_identity(home) is None


ENSURE = """
import asyncio, sys
from arkor.runner.identity import ensure_credentials
print(asyncio.run(ensure_credentials(base_url=sys.argv[1])).token)
"""


def test_processes_that_ask_at_once_get_the_same(home: Path) -> None:
    arrived = threading.Event()
    count = 0

    def issue(request: Received) -> object:
        nonlocal count
        count += 1
        arrived.set()
        return answer_json(
            {
                "token": f"token-number-{count}-0123456789",
                "anonymousId": f"anon-{count}",
                "kind": "cli",
                "personalOrg": {"id": "o", "slug": f"org-{count}", "name": "n"},
            }
        )

    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/auth/anonymous", issue)  # type: ignore[arg-type]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", ENSURE, backend.url],
                cwd=ROOT,
                env=dict(os.environ),
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        tokens = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert tokens == {"token-number-1-0123456789\n"}
    assert count == 1
    assert json.loads(credentials_path(home).read_text())["orgSlug"] == "org-1"


def test_the_address_is_the_environments_else_the_identitys_else_the_clouds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert default_arkor_cloud_api_url() == default_arkor_cloud_api_url(None) == CLOUD
    assert default_arkor_cloud_api_url(EnvironmentToken("t")) == CLOUD
    assert default_arkor_cloud_api_url(STORED) == "https://staging"
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "https://h////")
    assert default_arkor_cloud_api_url(STORED) == "https://h"
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "")
    assert default_arkor_cloud_api_url(STORED) == ""


def test_one_lock_is_for_whoever_exchanges_and_whoever_stores(home: Path) -> None:
    with hold_credentials(home, timeout=1) as write:
        write(STORED)
        with pytest.raises(ArkorError, match="is locked by"), hold_credentials(home, timeout=0.01):
            pass
        with ScriptedBackend() as backend:
            # Found before the lock is asked for.
            assert ensure(backend, home) == STORED
    assert [file.name for file in home.glob("*.lock")] == ["credentials.json.lock"]
    with ScriptedBackend() as backend:
        credentials_path(home).unlink()
        ensure(backend, home)
    assert [file.name for file in home.glob("*.lock")] == ["credentials.json.lock"]
