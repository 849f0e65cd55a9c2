"""What a backend's refusal means to the person at the terminal, and what to do next."""

import re
from typing import Final

from arkor.errors import AnonymousTokenRejectedError, CloudApiError

__all__ = ["explained"]

UPGRADE: Final = 426
"""The status that says: this release is served no more. The message says how to upgrade."""

_WORDLESS: Final = re.compile(r"cloud-api \d{3}")
"""The message of an answer that says nothing but its status."""


def explained(error: CloudApiError, where: str) -> str:
    """One sentence: what `where` refused and why, as far as it said so, and what to do next."""
    if isinstance(error, AnonymousTokenRejectedError) and error.status == UPGRADE:
        return error.message
    if isinstance(error, AnonymousTokenRejectedError):
        return f"{error.message}; try again later, or set ARKOR_TOKEN to a token of yours"
    if isinstance(error.__cause__, CloudApiError):
        return error.message  # explained where it was met, with what to do next
    said = "" if _WORDLESS.fullmatch(error.message) else f": {error.message}"
    meaning, advice = _meaning(error, where)
    return f"{meaning} ({error.status}){said}{advice and f'; {advice}'}"


def _meaning(error: CloudApiError, where: str) -> tuple[str, str]:
    match error.status:
        case 401:
            return (
                f"the token was refused by {where}",
                "`arkor whoami` says which token is used; ARKOR_TOKEN wins over the stored one",
            )
        case 403:
            return (
                f"this account may not do that at {where}",
                "is it a member of the organisation? `arkor whoami` lists those it belongs to",
            )
        case 404:
            return (
                f"{where} does not know what was asked for",
                "is it the address of an Arkor backend, and the project still there "
                "(ARKOR_CLOUD_API_URL, ARKOR_PROJECT)?",
            )
        case 409:
            return f"{where} says that this conflicts with what it has", ""
        case status if status == UPGRADE:
            return f"{where} wants a newer Arkor", ""
        case 429:
            return f"{where} takes no more requests for now", "try again later"
        case status if status >= 500:
            return f"{where} is out of order", "try again later"
        case _ if _WORDLESS.fullmatch(error.message):
            return f"{where} refused the request", "is it the address of an Arkor backend?"
        case _:
            return f"{where} refused the request", ""
