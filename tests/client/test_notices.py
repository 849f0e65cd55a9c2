"""What the backend says about this release, and what the user is told to do."""

import asyncio
import logging
import re
from pathlib import Path

import pytest

from arkor.client.notices import (
    Deprecation,
    latest_deprecation,
    notify,
    read_deprecation,
    sdk_version,
    unsupported_message,
    upgrade_command,
)


def test_the_version_is_a_semantic_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-(alpha|beta|rc|dev)\.\d+)?", sdk_version())


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, None),
        ({"deprecation": "false"}, None),
        ({"deprecation": "True"}, None),
        ({"deprecation": "@soon"}, None),
        ({"deprecation": "true"}, f"Arkor SDK {sdk_version()} is deprecated"),
        ({"deprecation": "true", "warning": '299 - "Upgrade now"'}, "Upgrade now"),
        ({"deprecation": "true", "warning": "plain text"}, "plain text"),
        ({"deprecation": "@1688169599", "warning": '299 - "x"'}, "x"),
        (
            {"deprecation": "@1688169599"},
            f"Arkor SDK {sdk_version()} is deprecated from 2023-06-30 on",
        ),
        ({"deprecation": "@999999999999"}, f"Arkor SDK {sdk_version()} is deprecated"),
    ],
)
def test_a_notice_is_read_from_the_headers(headers: dict[str, str], message: str | None) -> None:
    notice = read_deprecation({**headers, "sunset": "Sat, 31 Dec 2026 23:59:59 GMT"})
    assert (notice and notice.message) == message
    if notice:
        assert notice.sunset == "Sat, 31 Dec 2026 23:59:59 GMT"


NOTICE = Deprecation("0.1.0", "old")


def test_a_handler_takes_the_notice_sync_or_async() -> None:
    taken: list[Deprecation] = []

    async def later(notice: Deprecation) -> None:
        taken.append(notice)

    asyncio.run(notify(NOTICE, taken.append))
    asyncio.run(notify(NOTICE, later))
    assert taken == [NOTICE, NOTICE]


def test_without_a_handler_the_latest_is_kept() -> None:
    asyncio.run(notify(Deprecation("0.1.0", "first"), None))
    asyncio.run(notify(NOTICE, None))
    assert latest_deprecation() == NOTICE


def test_a_handler_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Deprecation) -> None:
        raise LookupError("in the handler")

    with caplog.at_level(logging.ERROR):
        asyncio.run(notify(NOTICE, broken))
    assert "in the handler" in caplog.text


BODY = {"error": "sdk_version_unsupported", "currentVersion": "1.3.5", "supportedRange": "^1.4.0"}


def test_a_refused_version_names_the_versions_and_our_own_command() -> None:
    text = unsupported_message({**BODY, "upgrade": "npm install -g arkor@latest"})
    assert text.startswith("Arkor SDK 1.3.5 is no longer supported; ")
    assert "^1.4.0" in text
    assert upgrade_command() in text
    assert "npm" not in text


@pytest.mark.parametrize("reason", ["missing", "malformed"])
def test_a_refused_header_is_named(reason: str) -> None:
    text = unsupported_message({**BODY, "currentVersion": "unknown", "reason": reason})
    assert f"X-Arkor-Client header was {reason}" in text


@pytest.mark.parametrize("body", [None, "gone", 7, [], {}, {"currentVersion": 1}])
def test_an_unknown_body_still_says_how_to_upgrade(body: object) -> None:
    text = unsupported_message(body)
    assert text.startswith("Arkor SDK is no longer supported")
    assert upgrade_command() in text


@pytest.mark.parametrize(
    ("prefix", "installer", "command"),
    [
        ("/home/u/.local/share/uv/tools/arkor", "uv", "uv tool upgrade arkor"),
        ("/home/u/.local/share/pipx/venvs/arkor", "pip", "pipx upgrade arkor"),
        ("/opt/env", "uv", "uv pip install --upgrade arkor"),
        ("/opt/env", "Poetry 1.8.3", "poetry update arkor"),
        ("/opt/env", "conda", "conda update arkor"),
        ("/opt/env", "pip", "python -m pip install --upgrade arkor"),
        ("/opt/env", "", "python -m pip install --upgrade arkor"),
    ],
)
def test_the_upgrade_command_is_that_of_the_installer(
    prefix: str, installer: str, command: str
) -> None:
    assert upgrade_command(prefix, installer) == command


def test_a_uv_project_is_synced(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").touch()
    assert upgrade_command(str(tmp_path / ".venv"), "uv") == "uv sync --upgrade-package arkor"


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("uv-receipt.toml", "uv tool upgrade arkor"),
        ("pipx_metadata.json", "pipx upgrade arkor"),
    ],
)
def test_a_tool_is_known_by_its_receipt(file: str, command: str, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    assert upgrade_command(str(tmp_path), "uv") == command
