"""A Studio that listens, and a real browser that has been let in."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from studio_app import access

from arkor.runner.report_image import find_browser
from arkor.studio import create_app
from arkor.studio.access import Access

CHROMIUM = "Chromium: apt-get install chromium"
PLAYWRIGHT = "Playwright: pip install playwright"


class Running:
    """Studio of one home, in a thread of its own; it can be stopped and started again."""

    def __init__(self, home: Path, project_root: Path) -> None:
        self.home = home
        self.access: Access = access()
        self._root = project_root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        self.app = create_app(home=self.home, project_root=self._root, access=self.access)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        # Connections are taken from now on, and answered as soon as the server is there.
        listener.listen()
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()

    def stop(self) -> None:
        self.app.state.studio.closing.set()
        self._server.should_exit = True
        self._thread.join()
        self.app.state.studio.journal.close()


@pytest.fixture
def studio(home: Path, tmp_path: Path) -> Iterator[Running]:
    """Studio of an empty home: write runs into it."""
    home.mkdir(mode=0o700, exist_ok=True)
    running = Running(home, tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium(need: Any) -> Iterator[Any]:
    """One headless Chromium for all tests of this process."""
    executable = find_browser()
    need(executable, CHROMIUM)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        need(None, PLAYWRIGHT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(executable), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What a page's console said was wrong; a test clears what it brought about itself."""

    said: list[str]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints([])


@pytest.fixture
def page(chromium: Any, studio: Running, complaints: Complaints) -> Iterator[Any]:
    """A tab that has used the printed address. What its console complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=studio.url)
    context.set_default_timeout(15_000)
    visitor = context.new_page()
    visitor.goto(f"/?token={studio.access.ticket}")
    visitor.wait_for_url(f"{studio.url}/")
    visitor.close()
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.said.append(f"uncaught: {error}"))
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning")
            and complaints.said.append(f"{message.text} {message.location.get('url', '')}")
        ),
    )
    yield page
    context.close()
    assert complaints.said == []
