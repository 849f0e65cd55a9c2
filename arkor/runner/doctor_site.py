"""Where to look: the store's folder, the journal, the backend, as the settings say."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from arkor.errors import ArkorError, ConfigError
from arkor.runner.doctor_finding import Finding, as_finding
from arkor.runner.settings import Settings, load_settings
from arkor.store.paths import home as find_home
from arkor.store.paths import journal_path

__all__ = ["Site", "find_site"]


@dataclass(frozen=True, slots=True)
class Site:
    """The places in force. `journal` is `None` if it is kept where this Arkor cannot read.

    `address` is the backend's as it is configured, or `None` where the credentials or the
    default decide.
    """

    home: Path
    journal: Path | None
    address: str | None


def find_site(home: Path | str | None, cwd: Path | str | None) -> tuple[Site, list[Finding]]:
    """The places in force, and what is wrong with the settings that name them."""
    findings = []
    try:
        settings = load_settings(cwd, home=home)
    except (ArkorError, OSError) as error:
        # The rest is examined where it would be without the settings that cannot be used.
        settings = Settings(home=None if home is None else Path(home))
        findings.append(as_finding("store.settings", error, "mend that value, or remove it"))
    folder = find_home(settings.home)
    journal: Path | None = None
    try:
        journal = journal_path(folder)
    except ConfigError as error:
        findings.append(
            as_finding("store.settings", error, "unset ARKOR_JOURNAL_URL, or set it to a file")
        )
    if elsewhere := _other_journal(folder):
        findings.append(elsewhere)
    return Site(folder, journal, settings.backend), findings


def _other_journal(folder: Path) -> Finding | None:
    default = platformdirs.user_data_path("arkor").absolute()
    try:
        there = (default / "arkor.db").exists()
    except OSError:
        there = False  # what this user cannot look into is not this user's journal
    if folder == default or not there:
        return None
    return Finding(
        "store.others",
        "note",
        f"the default folder {default} holds another journal, and {folder} is in use",
        f"`ARKOR_HOME={default} arkor runs --all` lists what is in it",
    )
