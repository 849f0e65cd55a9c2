"""The last word of a command: that the backend will no longer serve this release, if it said so."""

import sys

from arkor.cli.render import note

__all__ = ["say_outdated"]


def say_outdated() -> None:
    """Say once what the backend has said of this release, until when, and how to upgrade."""
    # A command that has asked no backend has heard nothing, and need not import how to ask.
    if "arkor.client.notices" not in sys.modules:
        return
    from arkor.client.notices import latest_deprecation, upgrade_command

    notice = latest_deprecation()
    if notice is None:
        return
    cutoff = f" Cutoff: {notice.sunset}." if notice.sunset else ""
    note(
        f"warning: {notice.message} (this is Arkor {notice.sdk_version}).{cutoff} "
        f"Upgrade with `{upgrade_command()}`."
    )
