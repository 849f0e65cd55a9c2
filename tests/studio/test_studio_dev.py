"""`arkor dev` as a process: its port, its address, its token file, its identity, its end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from arkor.errors import ArkorError
from arkor.studio.port import listen, wanted_port
from arkor.testing import ScriptedBackend, ScriptedServer, answer_json

Dev = Callable[..., "Studio"]


class Studio:
    """A running `arkor dev`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def address(self) -> str:
        """The address that is printed, with its token, once it is there."""
        return self.told(r"^Arkor Studio running on (http://localhost:\d+/\?token=\S+)$")

    def told(self, pattern: str) -> str:
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.said, re.M)):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        return found[1]

    def end(self) -> int:
        return self.process.wait(timeout=60)


@pytest.fixture
def dev(home: Path, tmp_path: Path) -> Iterator[Dev]:
    """Start `arkor dev ARGUMENTS...`; keywords add to its environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **extra: str) -> Studio:
        log = tmp_path / f"dev{len(started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "arkor", "dev", *arguments],
                cwd=tmp_path,
                env=os.environ | {"ARKOR_CLOUD_API_URL": "local"} | extra,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
            )
        started.append(process)
        return Studio(process, log)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("given", "port"), [("4100", 4100), ("0", 4000), ("x", 4000), ("-1", 4000), ("4e3", 4000)]
)
def test_what_is_no_port_is_4000(given: str, port: int) -> None:
    assert wanted_port(given) == port


def test_the_next_free_port_is_taken_where_none_was_asked_for(taken: int) -> None:
    warnings: list[str] = []
    with listen(None, warnings.append, first=taken) as listener:
        assert listener.getsockname()[1] > taken
    assert warnings[0] == f"Port {taken} is in use, trying {taken + 1} instead..."


def test_a_port_that_was_asked_for_is_not_exchanged(taken: int) -> None:
    with pytest.raises(ArkorError, match=f"Port {taken} is already in use"):
        listen(taken, pytest.fail)
    with pytest.raises(ArkorError, match="There is no port 70000"):
        listen(70000, pytest.fail)


def test_ten_ports_are_tried_and_none_beyond_the_last() -> None:
    held: list[socket.socket] = []
    try:
        for port in range(65530, 65536):
            holder = socket.socket()
            held.append(holder)
            try:
                holder.bind(("127.0.0.1", port))
                holder.listen()
            except OSError:
                pass  # somebody else holds it, which is as good
        warnings: list[str] = []
        with pytest.raises(ArkorError, match="All ports 65530-65535 are in use"):
            listen(None, warnings.append, first=65530)
        assert len(warnings) == 5
    finally:
        for holder in held:
            holder.close()


def test_a_taken_port_is_one_sentence(dev: Dev, taken: int) -> None:
    studio = dev("--port", str(taken))
    assert studio.end() == 4
    assert studio.said.strip() == (
        f"error: Port {taken} is already in use; `--port` takes another one"
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_it_ends_on_a_signal_and_takes_its_token_with_it(
    dev: Dev, home: Path, number: signal.Signals, code: int
) -> None:
    studio = dev("--port", str(free_port()))
    studio.address()
    file = home / "studio-token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[\w-]{43}", file.read_text())
    assert file.read_text() not in studio.said

    studio.process.send_signal(number)
    assert studio.end() == code
    assert not file.exists()
    assert "Traceback" not in studio.said


def test_the_token_of_a_later_studio_is_left(dev: Dev, home: Path) -> None:
    studio = dev("--port", str(free_port()))
    studio.address()
    (home / "studio-token").write_text("of a later one")
    studio.process.terminate()
    studio.end()
    assert (home / "studio-token").read_text() == "of a later one"


def test_the_printed_address_opens_it_once(dev: Dev, home: Path) -> None:
    studio = dev("--port", str(free_port()))
    address = studio.address()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    browser.open(address).close()
    root = address.partition("?")[0]
    with browser.open(root) as page:
        assert b"Overview" in page.read()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address)
    another = studio.told(r"for another one: (http://\S+)$")
    urllib.request.urlopen(another).close()

    # A page that was open finds the next Studio at that port with the cookie that it has.
    studio.process.terminate()
    studio.end()
    port = re.findall(r":(\d+)/", root)[0]
    dev("--port", port).address()
    with browser.open(f"{root}api/runs") as runs:
        assert runs.status == 200
    token = {"X-Arkor-Studio-Token": (home / "studio-token").read_text()}
    urllib.request.urlopen(urllib.request.Request(f"{root}api/runs", headers=token)).close()


def test_a_browser_is_opened_with_the_address(dev: Dev, tmp_path: Path) -> None:
    seen = tmp_path / "opened"
    studio = dev("--open", "--port", str(free_port()), BROWSER=f"sh -c 'echo %s >{seen}'")
    address = studio.address()
    deadline = time.monotonic() + 60
    while not (seen.exists() and seen.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert seen.read_text().strip() == address


def test_an_identity_is_made_where_there_is_none(dev: Dev, home: Path) -> None:
    with ScriptedBackend() as backend:
        studio = dev("--port", str(free_port()), ARKOR_CLOUD_API_URL=backend.url)
        studio.address()
    assert "new anonymous identity" in studio.said
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_a_backend_that_cannot_be_reached_is_said(dev: Dev) -> None:
    studio = dev("--port", str(free_port()), ARKOR_CLOUD_API_URL="http://127.0.0.1:1")
    assert studio.end() == 4
    assert studio.said.startswith("error: ")
    assert "Traceback" not in studio.said


def test_where_no_stranger_is_let_in_an_account_is_asked_for(dev: Dev) -> None:
    with ScriptedServer() as server:
        config = {"auth0Domain": "d", "clientId": "c", "audience": "a", "callbackPorts": [1]}
        refusal = answer_json({"error": "secret words"}, status=403)
        server.on("GET", "/v1/auth/cli/config", lambda request: answer_json(config))
        server.on("POST", "/v1/auth/anonymous", lambda request: refusal)
        studio = dev("--port", str(free_port()), ARKOR_CLOUD_API_URL=server.url)
        assert studio.end() == 2
    assert "HTTP 403" in studio.said
    assert "arkor login --oauth" in studio.said
    assert "secret words" not in studio.said
