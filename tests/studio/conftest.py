"""A Studio that listens, and a real browser that has been let in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from studio_running import Running

from arkor.runner.report_image import find_browser

CHROMIUM = "Chromium: apt-get install chromium"
PLAYWRIGHT = "Playwright: pip install playwright"


@pytest.fixture
def studio(home: Path, tmp_path: Path) -> Iterator[Running]:
    """Studio of an empty home: write runs into it."""
    home.mkdir(mode=0o700, exist_ok=True)
    running = Running(home, tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium(need: Any) -> Iterator[Any]:
    """One headless Chromium for the tests of a module.

    Not for longer: as long as Playwright is there, a loop runs in this thread, and other tests
    could not run one of their own.
    """
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
