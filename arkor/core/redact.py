"""Keeping secrets out of the log: every text passes here before it is appended."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = ["SHORTEST_SECRET", "mask", "redact", "without_token"]

SHORTEST_SECRET: Final = 16
"""A known secret shorter than this is not searched for: it would strike ordinary words."""


def mask(secret: str, salt: bytes) -> str:
    """What stands for `secret`: the same for the same secret in one store, and no way back."""
    return f"[secret:{hashlib.sha256(salt + secret.encode()).hexdigest()[:16]}]"


def redact(text: str, secrets: Iterable[str], salt: bytes) -> str:
    """Replace each known secret of 16 characters or more, as it is or as JSON spells it."""
    for form, secret in _spellings(frozenset(secrets)):
        if form in text:
            text = text.replace(form, mask(secret, salt))
    return text


@lru_cache(maxsize=32)
def _spellings(secrets: frozenset[str]) -> tuple[tuple[str, str], ...]:
    # The longest first: of two secrets of which one begins the other, no rest may stay.
    longest = sorted(secrets, key=lambda each: (-len(each), each))
    kept = (secret for secret in longest if len(secret) >= SHORTEST_SECRET)
    return tuple((form, secret) for secret in kept for form in sorted(_forms(secret)))


def _forms(secret: str) -> set[str]:
    ascii_only, plain = (json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False))
    return {secret, ascii_only, plain, plain.replace("/", "\\/")}


def without_token(config: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """Copy a job's config, its dataset token masked whatever its length."""
    source = config.get("datasetSource")
    if not isinstance(source, dict) or not source.get("token"):
        return dict(config)
    return {**config, "datasetSource": {**source, "token": mask(str(source["token"]), salt)}}
