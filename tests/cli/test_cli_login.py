"""Signing in and out against a real identity provider on loopback, once through a real browser."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from provider import IdentityProvider, offering

from arkor.client.auth import CliConfig
from arkor.client.oauth import sign_in
from arkor.client.provider import Tokens
from arkor.errors import ArkorError, CloudApiError, ConfigError, ProtocolError
from arkor.runner.report_image import find_browser
from arkor.store.credentials import (
    AnonymousCredentials,
    OAuthCredentials,
    credentials_path,
    read_credentials,
    write_credentials,
)
from arkor.store.state import ProjectState, read_state, write_state
from arkor.testing import Answer, ScriptedBackend, answer_json

Here = Callable[..., subprocess.CompletedProcess[str]]
BROWSER = "Chromium or Chrome: apt-get install chromium"


def config_of(provider: IdentityProvider, *ports: int) -> CliConfig:
    return CliConfig(provider.domain, "client", "https://api.example", ports or (0,))


def visit(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, follow_redirects=True, headers=headers)


def through(
    config: CliConfig, browse: Callable[[str], None], timeout: float = 20.0
) -> tuple[Tokens, str]:
    """Sign in while `browse` plays the person, on a thread of its own; tokens and the URL."""
    urls: list[str] = []
    failures: list[BaseException] = []

    def run(url: str) -> None:
        try:
            browse(url)
        except BaseException as error:
            failures.append(error)

    def on_url(url: str) -> None:
        urls.append(url)
        threads.append(threading.Thread(target=run, args=(url,)))
        threads[0].start()

    threads: list[threading.Thread] = []
    try:
        tokens = asyncio.run(sign_in(config, on_url, timeout=timeout))
    finally:
        for thread in threads:
            thread.join()
        assert failures == []
    return tokens, urls[0]


def test_the_flow_is_that_of_the_specification() -> None:
    pages: list[httpx.Response] = []
    with IdentityProvider() as provider:
        tokens, url = through(config_of(provider), lambda url: pages.append(visit(url)))
        asked = dict(provider.asked)
        [grant] = [each.json() for each in provider.requests if each.method == "POST"]
        assert not any("x-arkor-client" in each.headers for each in provider.requests)
    assert (tokens.access_token, tokens.expires_in) == (provider.access[0], 3600)
    assert url.startswith(f"{provider.url}/authorize?")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked.pop("redirect_uri"))
    assert re.fullmatch(r"[\w-]{22}", asked.pop("state"))
    assert re.fullmatch(r"[\w-]{43}", asked.pop("code_challenge"))
    assert asked == {
        "response_type": "code",
        "client_id": "client",
        "scope": "openid profile email offline_access",
        "audience": "https://api.example",
        "code_challenge_method": "S256",
    }
    assert grant.keys() == {"grant_type", "code", "code_verifier", "client_id", "redirect_uri"}
    assert re.fullmatch(r"[\w-]{43}", grant["code_verifier"])
    [page] = pages
    assert page.status_code == 200
    assert "can be closed" in page.text
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "token" not in repr(tokens).replace("Tokens", "")


def test_what_is_not_the_awaited_callback_is_turned_away_and_waited_past() -> None:
    answers: list[httpx.Response] = []

    def browse(url: str) -> None:
        page = re.sub("%3A", ":", re.sub("%2F", "/", re.search(r"redirect_uri=([^&]+)", url)[1]))  # type: ignore[index]
        for target in (
            page.replace("/callback", "/favicon.ico"),
            f"{page}?code=c",
            f"{page}?code=c&state=forged",
            f"{page}?error=access_denied&error_description=no&state=forged",
        ):
            answers.append(visit(target))
        answers.append(visit(f"{page}?code=c&state=s", host="evil.example"))
        answers.append(httpx.post(page))
        answers.append(visit(url))

    with IdentityProvider() as provider:
        tokens, _ = through(config_of(provider), browse)
    assert [each.status_code for each in answers] == [404, 400, 400, 400, 404, 405, 200]
    assert "lacks `code` or `state`" in answers[1].text
    assert "State mismatch" in answers[2].text
    assert "CSRF" in answers[2].text
    assert answers[3].text == "Authentication failed: access_denied. no"
    assert tokens.access_token == provider.access[0]


def test_only_a_forged_state_ends_in_a_timeout_that_says_so() -> None:
    with IdentityProvider() as provider:
        provider.tamper = {"state": "forged"}
        with pytest.raises(ArkorError, match=r"State mismatch.*CSRF.*Nothing was stored"):
            through(config_of(provider), lambda url: visit(url) and None, timeout=1.0)
        assert provider.access == []


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ({"error": "access_denied"}, "Authentication failed: access_denied"),
        (
            {"error": "access_denied", "error_description": "<b>Not you</b>"},
            "Authentication failed: access_denied. <b>Not you</b>",
        ),
    ],
)
def test_a_refusal_is_said_in_the_browser_and_in_the_terminal(
    tamper: dict[str, str], said: str
) -> None:
    pages: list[httpx.Response] = []
    with IdentityProvider() as provider:
        provider.tamper = tamper
        with pytest.raises(ArkorError, match=re.escape(said)):
            through(config_of(provider), lambda url: pages.append(visit(url)))
    assert pages[0].status_code == 400
    assert pages[0].text == said
    assert pages[0].headers["content-type"] == "text/plain; charset=utf-8"


def test_a_busy_port_is_passed_over_and_none_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, IdentityProvider() as provider:
        port = busy.getsockname()[1]
        through(config_of(provider, port, 0), lambda url: visit(url) and None)
        assert str(port) not in provider.asked["redirect_uri"]
        with pytest.raises(ArkorError, match=rf"no port of {port} .*callbacks"):
            asyncio.run(sign_in(config_of(provider, port), lambda url: None))
        with pytest.raises(ConfigError, match="OAuth is not configured"):
            asyncio.run(sign_in(CliConfig(None, None, None), lambda url: None))


def test_a_code_that_is_refused_and_tokens_that_cannot_last() -> None:
    with IdentityProvider() as provider:
        provider.tamper = {"code": "stolen-code-0123456789"}
        with pytest.raises(CloudApiError, match=r"token exchange failed.*403.*invalid") as caught:
            through(config_of(provider), lambda url: visit(url) and None)
        assert "stolen-code" not in str(caught.value)
        provider.tamper, provider.rotations = {}, False
        with pytest.raises(ProtocolError, match="offline_access"):
            through(config_of(provider), lambda url: visit(url) and None)


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A browser that follows where it is sent; the file names what it opened."""
    opened, program = tmp_path / "opened", tmp_path / "browser"
    program.write_text(
        f"#!{sys.executable}\nimport sys, urllib.request\n"
        f"open({str(opened)!r}, 'a').write(sys.argv[1] + '\\n')\n"
        "urllib.request.urlopen(sys.argv[1]).read()\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    monkeypatch.delenv("CI", raising=False)
    return opened


def at(backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)


def test_signing_in_with_an_account(
    arkor: Here, here: Here, browser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IdentityProvider() as provider, offering(provider) as backend:
        at(backend, monkeypatch)
        environ = {"ARKOR_CLOUD_API_URL": backend.url, "BROWSER": os.environ["BROWSER"], "CI": ""}
        done = arkor("login", "--oauth", **environ)
        assert done.returncode == 0, done.stderr
        assert f"Browser: {browser.read_text()}" in done.stderr
        stored = read_credentials()
        assert isinstance(stored, OAuthCredentials)
        assert (stored.access_token, stored.refresh_token) == (
            provider.access[0],
            provider.refresh[0],
        )
        assert stored.arkor_cloud_api_url == backend.url
        assert 3500 < stored.expires_at - time.time() <= 3600
        assert stat.S_IMODE(credentials_path().stat().st_mode) == 0o600
        said = json.loads(here("whoami", "--json").stdout)
        assert (said["user"]["email"], said["orgs"]) == ("a@b.example", ["o"])
        assert said["token"] == "OAuth access token"
        assert said["expires"].startswith("20")
        assert "-token-" not in done.stdout + done.stderr + json.dumps(said)


def test_no_browser_is_opened_if_none_is_wanted(
    environ: dict[str, str], folder: Path, browser: Path
) -> None:
    with IdentityProvider() as provider, offering(provider) as backend:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor", "login", "--oauth", "--no-browser"],
            cwd=folder,
            env={**environ, "ARKOR_CLOUD_API_URL": backend.url, "CI": "", "BROWSER": "false"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("Browser: http")
        assert visit(line.removeprefix("Browser: ").strip()).status_code == 200
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert not browser.exists()


def test_ctrl_c_while_the_browser_is_waited_for_stores_nothing(
    environ: dict[str, str], folder: Path, home: Path
) -> None:
    before = AnonymousCredentials("token-0123456789", "a", "o")
    write_credentials(before)
    with IdentityProvider() as provider, offering(provider) as backend:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor", "login", "--oauth", "--no-browser"],
            cwd=folder,
            env={**environ, "ARKOR_CLOUD_API_URL": backend.url, "CI": ""},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Browser: http")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert read_credentials() == before


@pytest.mark.timeout(100)
def test_a_real_browser_comes_back(
    arkor: Here, need: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium = find_browser()
    need(chromium, BROWSER)
    page, program = tmp_path / "page.html", tmp_path / "browser"
    root = "--no-sandbox" if os.geteuid() == 0 else ""
    program.write_text(
        f"#!/bin/sh\nexec {chromium} --headless {root} --disable-gpu --no-first-run "
        f'--user-data-dir={tmp_path / "profile"} --dump-dom "$1" > {page} 2>/dev/null\n'
    )
    program.chmod(0o700)
    with IdentityProvider() as provider, offering(provider) as backend:
        done = arkor(
            "login",
            "--oauth",
            ARKOR_CLOUD_API_URL=backend.url,
            BROWSER=f"{program} %s",
            CI="",
        )
        assert done.returncode == 0, done.stderr
        stored = read_credentials()
    assert isinstance(stored, OAuthCredentials)
    assert stored.access_token == provider.access[0]


def test_two_flags_are_refused_before_anything_is_asked(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedBackend() as backend:
        at(backend, monkeypatch)
        done = here("login", "--oauth", "--anonymous")
        assert done.returncode == 2
        assert "Pick one of --oauth / --anonymous, not both" in done.stderr
        assert backend.requests == []


def test_anonymously(here: Here, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedBackend() as backend:
        at(backend, monkeypatch)
        done = here("login", "--anonymous")
        assert done.returncode == 0
        assert [each.path for each in backend.requests] == ["/v1/auth/anonymous"]
        assert "anon-1" in done.stdout
        assert "anon-org" in done.stdout
        assert str(credentials_path()) in done.stderr
        assert "warning" not in done.stderr
    assert isinstance(read_credentials(), AnonymousCredentials)


def test_a_release_that_is_served_no_more_is_told_how_to_upgrade(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedBackend() as backend:
        at(backend, monkeypatch)
        backend.on("POST", "/v1/auth/anonymous", answer_json({"error": "sdk_version"}, 426))
        done = here("login", "--anonymous")
    assert done.returncode == 4
    assert done.stderr.count("Upgrade with `") == 1
    assert "try again later" not in done.stderr


def test_without_a_flag_and_nobody_to_ask_it_is_anonymously(
    here: Here, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IdentityProvider() as provider, offering(provider) as backend:
        at(backend, monkeypatch)
        done = here("login")
        assert done.returncode == 0
        assert "nobody can restore it" in done.stderr
        assert isinstance(read_credentials(), AnonymousCredentials)
        for answer in (Answer(404), answer_json({"auth0Domain": None})):
            backend.on("GET", "/v1/auth/cli/config", answer)
            done = here("login")
            assert done.returncode == 0
            assert "offers no sign-in with an account" in done.stderr
            assert "nobody can restore it" not in done.stderr
        refused = here("login", "--oauth")
        assert refused.returncode == 2
        assert "OAuth is not configured" in refused.stderr


def test_a_ci_runner_is_told_at_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with IdentityProvider() as provider, offering(provider) as backend:
        at(backend, monkeypatch)
        done = here("login", "--oauth")
    assert done.returncode == 2
    assert "CI runners can't complete" in done.stderr
    assert read_credentials() is None


TOKEN = "token-from-elsewhere-0123456789"


def test_a_token_from_standard_input(
    environ: dict[str, str], folder: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def login(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "arkor", "login", "--token-stdin"],
            input=text,
            cwd=folder,
            env={**environ, "ARKOR_CLOUD_API_URL": backend.url},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    with IdentityProvider() as provider, offering(provider) as backend:
        at(backend, monkeypatch)
        provider.access.append(TOKEN)
        refused = login("another-token-0123456789\n")
        assert refused.returncode == 4
        assert f"{backend.url} refuses this token" in refused.stderr
        assert read_credentials() is None
        assert login("").returncode == login("two words").returncode == 2
        done = login(f"{TOKEN}\n")
        assert done.returncode == 0, done.stderr
        said = json.loads(here("whoami", "--json").stdout)
        assert (said["token"], said["expires"]) == ("OAuth access token that is not renewed", None)
    assert "token-" not in refused.stderr + done.stdout + done.stderr
    stored = read_credentials()
    assert isinstance(stored, OAuthCredentials)
    assert (stored.access_token, stored.refresh_token, stored.expires_at) == (TOKEN, "", 0)


def test_signing_out(here: Here, home: Path) -> None:
    nobody = here("logout")
    assert (nobody.returncode, nobody.stderr) == (0, "No credentials on file.\n")
    write_credentials(AnonymousCredentials("token-0123456789", "a", "o"))
    (home / "other").touch()
    kept = here("logout")
    assert kept.returncode == 2
    assert "--force" in kept.stderr
    assert read_credentials() is not None
    done = here("logout", "-f")
    assert done.returncode == 0
    assert "cannot be restored" in done.stderr
    assert read_credentials() is None
    assert (home / "other").exists()


def test_signing_out_says_that_the_folder_stays_linked(
    here: Here, folder: Path, home: Path
) -> None:
    write_credentials(AnonymousCredentials("token-0123456789", "a", "o"))
    write_state(ProjectState("o", "p", "1"), folder, home)
    done = here("logout", "--force")
    assert done.returncode == 0
    assert f"{folder} is linked to o/p still" in done.stderr
    assert "`arkor unlink` unlinks it" in done.stderr
    assert read_state(folder, home) == ProjectState("o", "p", "1")


@pytest.mark.parametrize(("answers", "left"), [(b"y\n\n", False), (b"y\nn\n", True)])
def test_signing_out_at_a_terminal_offers_to_unlink(
    environ: dict[str, str], folder: Path, home: Path, answers: bytes, left: bool
) -> None:
    write_credentials(AnonymousCredentials("token-0123456789", "a", "o"))
    write_state(ProjectState("o", "p", "1"), folder, home)
    terminal, slave = pty.openpty()
    given = {name: value for name, value in environ.items() if name != "CI"}
    with subprocess.Popen(
        [sys.executable, "-m", "arkor", "logout"],
        cwd=folder,
        env=given | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        os.write(terminal, answers)
        assert process.wait(30) == 0
    os.close(terminal)
    assert read_credentials() is None
    assert (read_state(folder, home) is not None) is left


@pytest.mark.parametrize("left", [-1000, 30])
def test_whoami_renews_a_token_that_is_at_its_end(
    here: Here, home: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    with IdentityProvider() as provider, offering(provider) as backend:
        at(backend, monkeypatch)
        provider.refresh.append("refresh-token-first-0123456789")
        ends = int(time.time()) + left
        spent = ("access-token-spent-0123456789", provider.refresh[0], ends)
        write_credentials(OAuthCredentials(*spent, provider.domain, "aud", "client", backend.url))
        done = here("whoami")
        assert done.returncode == 0, done.stderr
    stored = read_credentials()
    assert isinstance(stored, OAuthCredentials)
    assert (stored.access_token, stored.refresh_token) == (provider.access[0], provider.refresh[1])
