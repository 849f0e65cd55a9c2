"""A token that expires in the middle of a run: refreshed once, stored, never in the journal."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from arkor.errors import CloudApiError
from arkor.runner.options import TrainerOptions
from arkor.runner.trainer import Trainer, create_trainer
from arkor.store.credentials import OAuthCredentials, read_credentials, write_credentials
from arkor.store.journal import open_journal
from arkor.store.state import ProjectState, write_state
from arkor.testing import Answer, Received, ScriptedBackend, ScriptedServer, answer_json

STARTED = {"type": "training.started"}
COMPLETED = {"type": "training.completed", "artifacts": []}


class Provider(ScriptedServer):
    """An identity provider that rotates refresh tokens and refuses a spent one."""

    def __init__(self) -> None:
        super().__init__()
        self.access = "access-token-number-0"
        self.refresh = "refresh-token-number-0"
        self.rotations = 0
        self.expires_in = 3600
        self.on("POST", "/oauth/token", self.token)

    def token(self, request: Received) -> Answer:
        if request.json()["refresh_token"] != self.refresh:
            return answer_json({"error": "invalid_grant"}, 403)
        self.rotations += 1
        self.access = f"access-token-number-{self.rotations}"
        self.refresh = f"refresh-token-number-{self.rotations}"
        tokens = {
            "access_token": self.access,
            "refresh_token": self.refresh,
            "expires_in": self.expires_in,
        }
        return answer_json(tokens)


class Gated(ScriptedBackend):
    """A backend that knows the provider's newest access token only."""

    def __init__(self, provider: Provider, *args: Any) -> None:
        super().__init__(*args)
        self.provider = provider
        self.refused = 0

    def _next(self, request: Received) -> Any:
        if request.headers.get("authorization") == f"Bearer {self.provider.access}":
            return super()._next(request)
        self.refused += 1
        return answer_json({"error": "expired"}, 401)


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_state(ProjectState("org", "project", "p-1"))


def sign_in(
    provider: Provider, backend: ScriptedBackend, *, left: int = 3600, at: str = ""
) -> None:
    write_credentials(
        OAuthCredentials(
            access_token=provider.access,
            refresh_token=provider.refresh,
            expires_at=int(time.time()) + left,
            auth0_domain=at or provider.url.removeprefix("http://"),
            audience="https://api.example",
            client_id="client",
            arkor_cloud_api_url=backend.url,
        )
    )


def trainer(callbacks: Any = None, name: str = "a run") -> Trainer:
    return create_trainer(
        name=name,
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=callbacks,
        options=TrainerOptions(reconnect_delay=0.02),
    )


def test_an_expired_token_is_refreshed_and_the_run_goes_on() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend)
        run = trainer()
        run.start_sync()
        provider.access = "revoked-meanwhile-0000"
        assert run.wait_sync().succeeded
        assert provider.rotations == 1
        stored = read_credentials()
        assert isinstance(stored, OAuthCredentials)
        assert (stored.access_token, stored.refresh_token) == (provider.access, provider.refresh)
        assert stored.expires_at > 0
    raw = b"".join(path.read_bytes() for path in open_journal().path.parent.glob("arkor.db*"))
    assert b"token-number" not in raw


@pytest.mark.parametrize("left", [30, -30])
def test_a_token_at_its_end_is_renewed_before_it_is_refused(left: int) -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend, left=left)
        assert trainer().wait_sync().succeeded
        assert (provider.rotations, backend.refused) == (1, 0)


def test_a_run_outlives_many_tokens() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        provider.expires_in = 1  # shorter than what counts as its end: renewed at every contact
        sign_in(provider, backend, left=1)
        for number in range(4):
            assert trainer(name=f"run {number}").wait_sync().succeeded
        assert provider.rotations >= 4
        assert backend.refused == 0
        stored = read_credentials()
        assert isinstance(stored, OAuthCredentials)
        assert stored.refresh_token == provider.refresh


def test_a_provider_out_of_reach_costs_nothing_while_the_token_holds() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend, left=30, at="127.0.0.1:1")
        assert trainer().wait_sync().succeeded
        assert (provider.rotations, backend.refused) == (0, 0)


def test_a_second_refusal_in_a_row_is_final() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend)
        run = trainer()
        run.start_sync()
        backend.on("GET", "/v1/jobs/{id}/events/stream", answer_json({"error": "not for you"}, 401))
        with pytest.raises(CloudApiError, match="not for you"):
            run.wait_sync()
        assert provider.rotations == 1


def test_a_refresh_token_that_is_spent_is_said_so() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend)
        provider.access, provider.refresh = "revoked-meanwhile-0000", "rotated-elsewhere-0000"
        with pytest.raises(CloudApiError, match="arkor login"):
            trainer().start_sync()


def test_many_runs_whose_token_expired_at_once_refresh_it_once() -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend)
        runs = [trainer(name=f"run {number}") for number in range(4)]
        for run in runs:
            run.start_sync()
        provider.access = "revoked-meanwhile-0000"
        threads = [threading.Thread(target=run.wait_sync) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.status for row in open_journal().runs()] == ["completed"] * 4
        assert provider.rotations == 1


KILLED = """
import os, signal, sys, threading
from arkor import TrainerOptions, create_trainer
when, function = sys.argv[1:]
def watch(frame, event, argument):
    if event == when and frame.f_code.co_qualname == function:
        os.kill(os.getpid(), signal.SIGKILL)
threading.setprofile(watch)
create_trainer(
    name="a run", model="owner/model", dataset={"type": "huggingface", "name": "owner/data"},
    options=TrainerOptions(reconnect_delay=0.02),
).wait_sync()
"""


@pytest.mark.parametrize(
    ("when", "function"),
    [("call", "_refresh"), ("return", "_refresh"), ("return", "Session.refresh")],
    ids=["before the refresh", "after it is stored", "before it is used"],
)
def test_a_kill_around_a_refresh_costs_neither_the_run_nor_the_sign_in(
    when: str, function: str
) -> None:
    with Provider() as provider, Gated(provider, [STARTED, COMPLETED]) as backend:
        sign_in(provider, backend)
        backend.on("POST", "/v1/jobs", lambda request: expire(backend, request))
        child = subprocess.run(
            [sys.executable, "-c", KILLED, when, function], timeout=60, check=False
        )
        assert child.returncode == -signal.SIGKILL
        run = trainer()
        assert run.start_sync().resumed
        assert run.wait_sync().succeeded
        assert (len(backend.jobs), provider.rotations) == (1, 1)


def expire(backend: Gated, request: Received) -> Answer:
    """Accept the job, and the token no more."""
    answer = backend.create_job(request)
    backend.provider.access = "revoked-meanwhile-0000"
    return answer
