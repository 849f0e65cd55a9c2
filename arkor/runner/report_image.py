"""The chart as a PNG: a headless Chromium draws the very page that people see.

Kaleido would drive the same browser through one more package; a browser's own `--screenshot` does
without.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from arkor.errors import ArkorError

__all__ = ["draw", "find_browser"]

NAMES: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
APPLICATIONS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
WIDTH: Final = 1200
"""Pixels of the page; the picture has two for each."""

TIMEOUT: Final = 90.0
"""Seconds that a browser may take to start and draw."""


def find_browser() -> str | None:
    """The program of a Chromium, Chrome or Edge that is installed, or `None`."""
    return next(_found(), None)


def _found() -> Iterator[str]:
    for name in NAMES:
        if path := shutil.which(name):
            yield path
    for application in APPLICATIONS:
        if os.access(application, os.X_OK):
            yield application


def draw(page: str, *, height: int) -> bytes:
    """A PNG of `page`, `height` pixels high, in light colours.

    The browser loads nothing but the page, and keeps nothing. Raises `ArkorError` if there is
    none, or if it fails.
    """
    browser = find_browser()
    if browser is None:
        raise ArkorError(
            "no Chromium, Chrome or Edge is installed here, and one draws the PNG (Debian, "
            "Ubuntu: apt-get install chromium); the report's own chart has a button that saves it"
        )
    with TemporaryDirectory(prefix="arkor-chart-", ignore_cleanup_errors=True) as folder:
        return _screenshot(browser, page, height, Path(folder))


def _screenshot(browser: str, page: str, height: int, folder: Path) -> bytes:
    source, picture = folder / "page.html", folder / "page.png"
    source.write_text(page, encoding="utf-8")
    command = [browser, *_flags(folder), f"--window-size={WIDTH},{height}"]
    command += [f"--screenshot={picture}", source.as_uri()]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ArkorError(f"{browser} did not draw the chart in {TIMEOUT:g} seconds") from error
    if done.returncode != 0 or not picture.exists():
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ArkorError(f"{browser} could not draw the chart (exit {done.returncode}): {said}")
    return picture.read_bytes()


def _flags(folder: Path) -> Iterator[str]:
    yield from ("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
    yield from ("--disable-background-networking", "--disable-component-update")
    yield from ("--force-device-scale-factor=2", "--blink-settings=preferredColorScheme=1")
    yield f"--user-data-dir={folder / 'profile'}"
    if os.geteuid() == 0:
        yield "--no-sandbox"  # Chromium's sandbox does not start as root
