"""The doctor on the token, the backend and its streams: each fault planted and found."""

import base64
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from examined import finding, findings
from scripted import IDENTITY, STARTED, TOKEN, child, log

from arkor.runner.doctor import worst
from arkor.store.credentials import (
    AnonymousCredentials,
    OAuthCredentials,
    read_credentials,
    write_credentials,
)
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, Forever, answer_json
from arkor.testing.server import ScriptedServer

QUICK = 0.5
"""Seconds that a test waits for what does not come."""

ENDLESS = [STARTED, log(1), log(2), *[Forever()] * 5]
"""A run under way: each connection to its stream stays open."""

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream"
"""How the answer of a scripted backend begins."""

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Use the backend at a URL, signed in."""

    def use(url: str) -> None:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", url)
        write_credentials(AnonymousCredentials(**IDENTITY))

    return use


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def oauth(*, expires_in: float, refresh_token: str = "refresh-0123456789") -> OAuthCredentials:
    return OAuthCredentials(
        access_token=TOKEN,
        refresh_token=refresh_token,
        expires_at=int(time.time() + expires_in),
        auth0_domain="sign-in.example",
        audience="a",
        client_id="c",
    )


def jwt(*, expires_in: float) -> str:
    claims = json.dumps({"exp": time.time() + expires_in}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2lnbmF0dXJl"


# The token.


@pytest.mark.parametrize(
    ("expires_in", "refresh_token", "level", "said"),
    [
        (7 * 86400, "", "ok", "holds for"),
        (3600, "", "warning", "expires in"),
        (-3600, "", "problem", "expired 1:00:0"),
        (3600, "refresh-0123456789", "ok", "renewed in"),
        (-3600, "refresh-0123456789", "note", "the next request renews it"),
    ],
)
def test_oauth_tokens(expires_in: float, refresh_token: str, level: str, said: str) -> None:
    write_credentials(oauth(expires_in=expires_in, refresh_token=refresh_token))
    found = finding("account.token")
    assert found.level == level
    assert said in found.what
    assert level == "ok" or "`arkor login`" in str(found.next_step)


@pytest.mark.parametrize(
    ("given", "level"),
    [
        (-60, "problem"),
        (600, "warning"),
        (7 * 86400, "ok"),
        ("no.json.here", "ok"),
        ("opaque", "ok"),
        ("two\nlines", "problem"),
    ],
    ids=["expired", "expiring", "fresh", "undated", "opaque", "unsendable"],
)
def test_tokens_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: str | int, level: str
) -> None:
    # Made now, and not when the tests were collected, which may be long ago.
    token = jwt(expires_in=given) if isinstance(given, int) else given
    monkeypatch.setenv("ARKOR_TOKEN", token)
    found = finding("account.token")
    assert found.level == level
    assert "ARKOR_TOKEN" in found.what
    assert token not in repr(findings())


def test_an_anonymous_token() -> None:
    write_credentials(AnonymousCredentials(**IDENTITY))
    assert finding("account.token").what.startswith("an anonymous token")


def test_a_damaged_credentials_file(home: Path) -> None:
    home.mkdir(mode=0o700)
    file = home / "credentials.json"
    file.write_text('{"mode": "anon"')
    file.chmod(0o600)
    found = finding("account.token")
    assert found.level == "problem"
    assert str(file) in found.what


def test_nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("account.token").level == "ok"
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:1")
    assert finding("account.token").level == "note"


# The backend.


def test_a_backend_that_is_well(use: Callable[[str], None]) -> None:
    with ScriptedBackend(token=TOKEN) as backend:
        use(backend.url)
        found = findings()
        assert [request.method for request in backend.requests] == ["GET"]
    assert worst(found) in ("ok", "note")
    assert "accepts the token" in next(f.what for f in found if f.check == "backend.reach")
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("answer", "level", "step"),
    [
        (answer_json({"error": f"who is {TOKEN}?"}, 401), "problem", "`arkor login`"),
        (answer_json({"error": "sdk_version_unsupported"}, 426), "problem", "`pip install -U"),
        (answer_json({"error": "later"}, 503), "warning", "try again"),
        (answer_json({"error": "not_found"}, 404), "warning", "ARKOR_CLOUD_API_URL"),
        (Answer(200, {"content-type": "text/html"}, b"<p>Sign in"), "warning", "the address"),
        (Answer(200, {}, [Forever()]), "warning", "the network is up"),
    ],
)
def test_a_backend_that_is_not(
    use: Callable[[str], None], server: ScriptedServer, answer: Answer, level: str, step: str
) -> None:
    server.on("GET", "/v1/me", answer)
    use(server.url)
    found = finding("backend.reach", timeout=QUICK)
    assert found.level == level
    assert step in str(found.next_step)
    assert TOKEN not in repr(found)


def test_a_refused_token_that_will_be_renewed(
    use: Callable[[str], None], server: ScriptedServer
) -> None:
    server.on("GET", "/v1/me", answer_json({"error": "expired"}, 401))
    use(server.url)
    write_credentials(spent := oauth(expires_in=-60))
    assert finding("backend.reach").level == "note"
    assert read_credentials() == spent


def test_a_backend_that_is_not_there(use: Callable[[str], None]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        use(f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert finding("backend.reach").level == "warning"


def test_an_address_that_is_none(use: Callable[[str], None]) -> None:
    use("")
    found = finding("backend.reach")
    assert found.level == "warning"
    assert "ARKOR_CLOUD_API_URL" in found.what


def test_whoever_is_not_signed_in_asks_for_health(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", server.url)
    assert finding("backend.reach").level == "ok"
    assert [request.path for request in server.requests] == ["/healthz"]


@pytest.mark.parametrize(("ahead", "relation"), [(7200, "behind"), (-7200, "ahead of")])
def test_a_clock_that_differs(
    use: Callable[[str], None], server: ScriptedServer, ahead: float, relation: str
) -> None:
    headers = {"date": formatdate(time.time() + ahead, usegmt=True)}
    server.on("GET", "/v1/me", Answer(200, headers, b"{}"))
    use(server.url)
    found = finding("backend.clock")
    assert found.level == "warning"
    assert f"{relation} the backend's" in found.what
    assert "timedatectl" in str(found.next_step)


def test_a_clock_that_agrees(use: Callable[[str], None], server: ScriptedServer) -> None:
    server.on("GET", "/v1/me", Answer(200, {"date": formatdate(usegmt=True)}, b"{}"))
    use(server.url)
    assert finding("backend.clock").level == "ok"


def test_a_release_that_will_not_be_served(
    use: Callable[[str], None], server: ScriptedServer
) -> None:
    headers = {"deprecation": "true", "warning": '299 - "Upgrade soon"'}
    server.on("GET", "/v1/me", Answer(200, headers, b"{}"))
    use(server.url)
    found = finding("backend.release")
    assert (found.level, found.next_step) == ("warning", "`pip install -U arkor`")
    assert "Upgrade soon" in found.what


# The embedded backend.


def test_an_embedded_backend_that_hangs(home: Path) -> None:
    folder = home / "backend"
    folder.mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    with socket.socket() as deaf, (folder / "lock").open("w") as lock:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        lock.write(f"{os.getpid()} here\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        described = {"url": url, "token": TOKEN, "pid": os.getpid(), "version": "0"}
        (folder / "server.json").write_text(json.dumps(described))
        (folder / "server.json").chmod(0o600)
        found = finding("backend.embedded")
    assert found.level == "warning"
    assert f"pid {os.getpid()}" in found.what
    assert "arkor backend logs" in str(found.next_step)


def test_an_embedded_backend_that_runs(backend: Any) -> None:
    found = {each.check: each for each in findings(home=backend.home)}
    assert backend.url in found["backend.embedded"].what
    assert "accepts the token" in found["backend.reach"].what
    assert found["backend.clock"].level == "ok"
    assert backend.token not in repr(found)


# Streams.


class Proxy:
    """A TCP proxy in front of a backend. Of an event stream it holds back the body, or all of it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.holds: str | None = None
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *failure: object) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                host, _, port = self.target.removeprefix("http://").partition(":")
                backend = socket.create_connection((host, int(port)))
                self._open += [client, backend]
                for source, sink in ((client, backend), (backend, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        held, holding = b"", False
        with suppress(OSError):
            while piece := source.recv(65536):
                if self.holds == "body" and piece.startswith(STREAM):
                    head, end, piece = piece.partition(b"\r\n\r\n")
                    sink.sendall(head + end)
                    holding = True
                if holding or (self.holds == "all" and piece.startswith(STREAM)):
                    held, holding = held + piece, True
                else:
                    sink.sendall(piece)
            sink.sendall(held)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def training(project: Path, use: Callable[[str], None]) -> Iterator[Proxy]:
    """A run under way at a backend behind a proxy; its process was killed."""
    kill = "def on_log(ctx):\n    if ctx.step == 2: os.kill(os.getpid(), 9)\n"
    with ScriptedBackend(ENDLESS) as backend, Proxy(backend.url) as proxy:
        use(proxy.url)
        ended = child(proxy, project, f"import os\n{kill}trainer(on_log=on_log).wait_sync()")  # type: ignore[arg-type]
        assert ended.returncode == -9, ended.stderr
        yield proxy


def test_a_stream_that_comes_through(training: Proxy) -> None:
    found = finding("backend.stream")
    assert found.level == "ok", found
    assert "an event comes through its stream in" in found.what


@pytest.mark.parametrize("part", ["body", "all"])
def test_a_proxy_that_holds_a_stream_back(training: Proxy, part: str) -> None:
    training.holds = part
    found = finding("backend.stream", timeout=QUICK)
    assert found.level == "warning", found
    assert "proxy_buffering off" in str(found.next_step)


def test_a_sign_in_page_in_the_place_of_a_stream(training: Proxy, server: ScriptedServer) -> None:
    server.on("GET", "/v1/me", answer_json({}))
    page = Answer(200, {"content-type": "text/html"}, b"<p>Sign in")
    server.on("GET", "/v1/jobs/{id}/events/stream", page)
    training.target = server.url
    found = finding("backend.stream")
    assert found.level == "warning", found
    assert "text/html" in found.what


def test_streams_without_a_run_are_not_measured(use: Callable[[str], None]) -> None:
    with ScriptedBackend() as backend:
        use(backend.url)
        found = finding("backend.stream")
    assert found.level == "note"
    assert "no run is under way" in found.what
