"""The examination of the token: which kind it is, whether it can be read, and until when it holds."""

import os
import stat
import time
from pathlib import Path
from typing import Final

from arkor.errors import CredentialsError
from arkor.runner.doctor_finding import Finding, as_finding
from arkor.runner.doctor_words import shown_time
from arkor.runner.identity import EnvironmentToken, Identity, current_identity, token_expiry
from arkor.runner.local import LOCAL
from arkor.store.credentials import OAuthCredentials
from arkor.store.paths import OTHERS, credentials_path

__all__ = ["examine_account"]

SOON: Final = 24 * 60 * 60.0
"""Seconds before its end in which a token counts as about to expire."""

SIGN_IN: Final = "`arkor login`"


def examine_account(home: Path, address: str | None) -> tuple[Identity | None, list[Finding]]:
    """The identity in use, and what is found about it. The backend is not asked.

    A file that others can read is not read: reading would narrow it, and nothing is changed
    here.
    """
    file = credentials_path(home)
    try:
        if not os.environ.get("ARKOR_TOKEN") and _is_open(file):
            finding = Finding(
                "account.token",
                "warning",
                f"not looked at: {file} is open to others",
                f"`chmod 600 {file}`, then `arkor doctor` again",
            )
            return None, [finding]
        identity = current_identity(home)
    except CredentialsError as error:
        return None, [as_finding("account.token", error, f"mend {file}, or {SIGN_IN}")]
    if identity is None:
        return None, [_nobody(address)]
    return identity, [_examine(identity)]


def _is_open(file: Path) -> bool:
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & OTHERS)
    except OSError:
        return False  # whoever reads it meets the same, and says so


def _nobody(address: str | None) -> Finding:
    if address == LOCAL:
        return Finding("account.token", "ok", "none, and the embedded backend needs none of yours")
    return Finding(
        "account.token",
        "note",
        "not signed in: the first run at the cloud makes an anonymous identity",
        f"{SIGN_IN}, to use an account",
    )


def _examine(identity: Identity) -> Finding:
    kind, renewal = _described(identity)
    if not _sendable(identity.token):
        return Finding(
            "account.token",
            "problem",
            f"{kind} holds characters that no HTTP header can carry",
            renewal,
        )
    expires_at = token_expiry(identity)
    if expires_at is None:
        return Finding("account.token", "ok", f"{kind}; it does not say until when it holds")
    left = expires_at - time.time()
    if isinstance(identity, OAuthCredentials) and identity.refresh_token:
        if left > 0:
            return Finding("account.token", "ok", f"{kind}, renewed in {shown_time(left)}")
        return Finding(
            "account.token",
            "note",
            f"{kind}, expired {shown_time(-left)} ago; the next request renews it",
            f"{SIGN_IN}, if that fails",
        )
    if left <= 0:
        return Finding(
            "account.token", "problem", f"{kind}, expired {shown_time(-left)} ago", renewal
        )
    if left <= SOON:
        what = f"{kind}, expires in {shown_time(left)}"
        return Finding("account.token", "warning", what, renewal)
    return Finding("account.token", "ok", f"{kind}, holds for {shown_time(left)}")


def _described(identity: Identity) -> tuple[str, str]:
    """The kind of a token, and how to get another one."""
    match identity:
        case EnvironmentToken():
            return "the access token in ARKOR_TOKEN", "set ARKOR_TOKEN to a new one, or unset it"
        case OAuthCredentials():
            return "an OAuth access token", SIGN_IN
        case _:
            return "an anonymous token", SIGN_IN


def _sendable(token: str) -> bool:
    return token.isascii() and token.isprintable()
