"""Who had a run, with which code: a recorded owner as a report shows it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from arkor.core.owners import RecordedOwner, code_changes
from arkor.runner.report_words import json_text

__all__ = ["OwnerView", "ShownCallback", "owner_views"]

TITLES: Final = {
    "submitted": "Submitted by",
    "attached": "Attached by",
    "resumed": "Taken over by",
    "adopted": "Told which job it is by",
}
NAMES: Final = {
    "user": "user",
    "host": "host",
    "pid": "process",
    "arkor": "Arkor",
    "python": "Python",
    "platform": "platform",
    "packages": "packages",
    "entry": "entry",
    "script": "script",
    "project_root": "project folder",
    "git": "git commit",
    "artifact_sha256": "SHA-256 of the built file",
}
"""The facts that are shown first, in this order; any others follow by their own names."""

APART: Final = frozenset({"digests", "callbacks"})
"""What has tables of its own."""


@dataclass(frozen=True, slots=True)
class ShownCallback:
    """One function that an owner brought, and the digest of its code."""

    set: str
    callback: str
    function: str
    digest: str


@dataclass(frozen=True, slots=True)
class OwnerView:
    """One owner in words. `changed` names what runs otherwise than under the one before."""

    title: str
    seq: int
    at: str
    user: str
    host: str
    commit: str | None
    dirty: bool
    shown: Mapping[str, str]
    digests: Mapping[str, str]
    callbacks: tuple[ShownCallback, ...]
    changed: tuple[str, ...]


def owner_views(owners: Iterable[RecordedOwner]) -> tuple[OwnerView, ...]:
    """The owners in order, each compared with the one before."""
    views: list[OwnerView] = []
    before: RecordedOwner | None = None
    for owner in owners:
        changed = code_changes(before.provenance, owner.provenance) if before else []
        views.append(_view(owner, tuple(changed)))
        before = owner
    return tuple(views)


def _view(owner: RecordedOwner, changed: tuple[str, ...]) -> OwnerView:
    facts = owner.provenance
    user, host = _text(facts.get("user")), _text(facts.get("host"))
    git = _mapping(facts.get("git"))
    commit = git.get("commit")
    return OwnerView(
        title=f"{TITLES[owner.how]} {user or 'an unknown user'} on {host or 'an unknown host'}",
        seq=owner.seq,
        at=owner.recorded_at,
        user=user or "unknown",
        host=host or "an unknown host",
        commit=None if commit is None else _text(commit),
        dirty=bool(git.get("dirty")),
        shown=dict(_facts(owner)),
        digests={path: _text(each) for path, each in _mapping(facts.get("digests")).items()},
        callbacks=tuple(_callbacks(facts.get("callbacks"))),
        changed=changed,
    )


def _facts(owner: RecordedOwner) -> Iterator[tuple[str, str]]:
    facts = owner.provenance
    for key in [*NAMES, *(key for key in facts if key not in NAMES)]:
        value = facts.get(key)
        if key not in APART and value not in (None, "", {}, []):
            yield NAMES.get(key, key), _git(value) if key == "git" else _text(value)
    yield "callback sets", ", ".join(owner.consumers) or "none"
    if owner.how == "resumed":
        yield "before it", "nothing under way" if owner.clean else "a call may have been under way"


def _git(value: Any) -> str:
    if not isinstance(value, Mapping) or "commit" not in value:
        return _text(value)
    dirty = "with uncommitted changes" if value.get("dirty") else "nothing uncommitted"
    return f"{_text(value['commit']) or 'none yet'}, {dirty}"


def _callbacks(sets: Any) -> Iterator[ShownCallback]:
    for each in sets if isinstance(sets, list) else []:
        functions = _mapping(_mapping(each).get("functions"))
        for callback, function in functions.items():
            told = _mapping(function)
            yield ShownCallback(
                _text(each.get("name")),
                callback,
                _text(told.get("function")),
                _text(told.get("digest")),
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """A fact in words: `name version, ...` for an object of texts, else the text or its JSON."""
    if value is None:
        return ""
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return value if isinstance(value, str) else json_text(value)
