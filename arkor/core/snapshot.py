"""A run's state as text, so that its log need not be folded from the first record each time.

A snapshot is an index like any other: what does not fit the log, or this release, is passed over,
and the log is folded instead. Before its JSON stands the SHA-256 of it, in hex: no chain covers a
snapshot, and a bit that flipped in a cursor would cost calls.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any, Final

from arkor.core.notes import Attached, SubmitRequested, entry_of, read_note
from arkor.core.record import Record
from arkor.core.state import Consumer, RunState
from arkor.core.wire import Job, parse_job
from arkor.errors import ProtocolError

__all__ = ["FOLD", "dump_state", "is_intact", "load_state"]

FOLD: Final = 2
"""Which folding made a snapshot. It goes up with every change to what a log adds up to."""

_NOT_OF_THE_LOG: Final = ("owner", "log")
_SEAL: Final = 64
_NAMES: Final = tuple(each.name for each in fields(RunState) if each.name not in _NOT_OF_THE_LOG)


def dump_state(state: RunState) -> str:
    """The state in ASCII, without what is no part of the log.

    Raises `RecursionError` for one that is nested deeper than JSON can be written.
    """
    plain = {name: getattr(state, name) for name in _NAMES} | {
        "head": state.head.hex(),
        "job": state.job.to_wire() if state.job else None,
        "consumers": [asdict(each) for each in state.consumers.values()],
        "wish": _wish(state.wish),
        "fold": FOLD,
    }
    # In ASCII, since JSON's escapes can smuggle in lone surrogates, which no database stores.
    body = json.dumps(plain, separators=(",", ":"))
    return _seal(body) + body


def is_intact(text: str) -> bool:
    """Whether the text is as `dump_state` made it, of this release or another."""
    return text[:_SEAL] == _seal(text[_SEAL:])


def load_state(text: str) -> RunState | None:
    """The state of which `dump_state` made this text; `None` for any other text."""
    if not is_intact(text):
        return None
    try:
        given = json.loads(text[_SEAL:])
        if given.pop("fold") != FOLD or given.keys() != set(_NAMES):
            return None
        read = {
            "head": bytes.fromhex(given["head"]),
            "job": _job(given["job"]),
            "wish": _read_wish(given["wish"]),
            "consumers": MappingProxyType(
                {each["name"]: _consumer(each) for each in given["consumers"]}
            ),
            **{name: tuple(given[name]) for name in ("artifacts", "named", "checkpoints")},
        }
    except (ValueError, TypeError, KeyError, AttributeError, ProtocolError, RecursionError):
        return None
    return RunState(**{**given, **read})


def _seal(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def _wish(wish: SubmitRequested | Attached | None) -> list[str] | None:
    return None if wish is None else [wish.TYPE, entry_of(wish).data]


def _read_wish(given: Any) -> SubmitRequested | Attached | None:
    if given is None:
        return None
    kind, data = given
    note = read_note(Record("", 1, "local", kind, None, data, "", b"", b""))
    if not isinstance(note, SubmitRequested | Attached):
        raise TypeError(f"{kind} is no wish")
    return note


def _job(given: Any) -> Job | None:
    return None if given is None else parse_job(given)


def _consumer(given: Mapping[str, Any]) -> Consumer:
    partial = given["partial"]
    return Consumer(**{**given, "partial": None if partial is None else tuple(partial)})
