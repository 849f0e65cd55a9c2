"""Who may use a Studio: what is handed out, and how it is recognised."""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from arkor.errors import ConfigError
from arkor.store.paths import ensure_home

__all__ = ["Access", "session_key"]

SHORTEST: Final = 16
"""Characters that a token has at least."""

SESSION: Final = 7 * 24 * 3600
"""Seconds that a browser stays signed in after it was here last."""


class Access:
    """The three secrets of one Studio.

    The *token* belongs to this launch; a program sends it as a header. A *ticket* is for the
    address that is printed: it works once, for one browser, and the next one takes its place.
    What a browser gets for it is a *session*, signed with `key`: it outlives a restart of
    Studio by whoever has the same key.
    """

    def __init__(self, token: str, key: bytes) -> None:
        if len(token) < SHORTEST:
            raise ConfigError(
                f"a token of Studio has at least {SHORTEST} characters", field="token"
            )
        self._token = token.encode()
        self._key = key
        self.on_used: Callable[[str], None] = lambda ticket: None
        """Called with the next ticket when one was used."""
        self.ticket = secrets.token_urlsafe(32)

    def is_token(self, given: str) -> bool:
        """Whether a program gave this launch's token."""
        return hmac.compare_digest(given.encode(), self._token)

    def redeem(self, given: str) -> bool:
        """Whether `given` is the ticket; from then on it is so no more."""
        if not hmac.compare_digest(given.encode(), self.ticket.encode()):
            return False
        self.ticket = secrets.token_urlsafe(32)
        self.on_used(self.ticket)
        return True

    def session(self) -> str:
        """A new session, to be kept as a cookie."""
        until = str(int(time.time()) + SESSION)
        return f"{until}.{self._signed(until)}"

    def is_session(self, given: str) -> bool:
        """Whether `given` is a session that has not run out."""
        until, _, signature = given.partition(".")
        return hmac.compare_digest(signature.encode(), self._signed(until).encode()) and (
            int(until) > time.time()
        )

    def is_stale(self, session: str) -> bool:
        """Whether a valid session is to be replaced by a new one: half of its time is over."""
        return int(session.partition(".")[0]) < time.time() + SESSION / 2

    def _signed(self, until: str) -> str:
        return hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()


def session_key(home: Path) -> bytes:
    """The key that this user's sessions are signed with: made once, readable by nobody else.

    Raises `ConfigError` if the file cannot be used, `JournalError` if the folder cannot be made.
    """
    path = ensure_home(home) / "studio.key"
    try:
        try:
            # What another process of this user made at the same moment is as good.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = bytes.fromhex(path.read_text(encoding="ascii"))
        else:
            key = secrets.token_bytes(32)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(key.hex())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}, which signs the sessions of Studio, cannot be used ({error}); "
            "remove it, and open Studio anew"
        ) from error
    if len(key) != 32:
        raise ConfigError(
            f"{path}, which signs the sessions of Studio, is not whole; "
            "remove it, and open Studio anew"
        )
    return key
