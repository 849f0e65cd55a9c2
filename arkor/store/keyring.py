"""The desktop's keyring as a place for the credentials: asked for, and never waited for long."""

import threading
from collections.abc import Callable
from typing import Any, Final

from arkor.errors import CredentialsError

__all__ = ["PATIENCE", "delete_secret", "read_secret", "write_secret"]

PATIENCE: Final = 2.0
"""Seconds of a call. A locked keyring may wait for somebody who is not there."""

SERVICE: Final = "arkor"


def read_secret(account: str) -> str | None:
    """The secret of `account`, `None` if there is none. Raises `CredentialsError`."""
    found = _ask(lambda keyring: keyring.get_password(SERVICE, account))
    return None if found is None else str(found)


def write_secret(account: str, secret: str) -> None:
    """Keep `secret`. Raises `CredentialsError`: it is then not known whether it is kept."""
    _ask(lambda keyring: keyring.set_password(SERVICE, account, secret))


def delete_secret(account: str) -> None:
    """Remove the secret, if there is one. Raises `CredentialsError`."""

    def delete(keyring: Any) -> None:
        if keyring.get_password(SERVICE, account) is not None:
            keyring.delete_password(SERVICE, account)

    _ask(delete)


def _ask(call: Callable[[Any], object]) -> object:
    """What `call` gives, from a thread that is left behind if it hangs."""
    answers: list[object] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            import keyring  # its backends are looked for here, which may hang as well

            answers.append(call(keyring))
        except Exception as error:  # whatever a backend of somebody else's raises
            failures.append(error)

    thread = threading.Thread(target=run, name="arkor-keyring", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if answers:
        return answers[0]
    raise _unusable(failures[0] if failures else None)


def _unusable(failure: Exception | None) -> CredentialsError:
    if isinstance(failure, ModuleNotFoundError):
        return CredentialsError("there is no keyring library: install arkor[keyring]")
    # Its words may hold the secret; its type says enough, and it is not chained.
    why = f"fails ({type(failure).__name__})" if failure else f"gave no answer in {PATIENCE:g} s"
    return CredentialsError(f"the keyring {why}")
