"""Who started a run and who took it over, with which code, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from arkor.cli.render import when
from arkor.core.owners import RecordedOwner, code_changes

__all__ = ["owner_facts"]

SHOWN: Final = 5
"""How many takeovers are told in words, the newest; JSON has them all."""

VERBS: Final = {
    "submitted": "started by",
    "attached": "attached by",
    "resumed": "taken over by",
    "adopted": "its job named by",
}


def owner_facts(owners: Sequence[RecordedOwner]) -> Iterator[tuple[str, object]]:
    """Names and values for `show_facts`: the first owner and its code, then the newest others."""
    if not owners:
        return
    first, *later = owners
    yield VERBS[first.how], _who(first)
    yield "with", _software(first.provenance)
    yield "code", _code(first.provenance)
    for name, functions in _callbacks(first.provenance):
        yield f"code of {name}", functions
    if len(later) > SHOWN:
        yield "taken over", f"{len(later)} times; the newest {SHOWN}:"
    for place, owner in list(enumerate(later))[-SHOWN:]:
        changed = _changed(owners[: place + 1], owner)
        yield VERBS[owner.how], f"{_who(owner)}, record {owner.seq}{changed}"


def _who(owner: RecordedOwner) -> str:
    said = owner.provenance
    host, pid = said.get("host"), said.get("pid")
    where = f" on {host}" if host else ""
    process = f" (process {pid})" if pid else ""
    return f"{said.get('user') or 'somebody'}{where}{process} at {when(owner.recorded_at)}"


def _software(said: Mapping[str, Any]) -> str:
    versions = [("Arkor", said.get("arkor")), ("Python", said.get("python"))]
    named = [f"{name} {version}" for name, version in versions if version]
    return ", ".join([*named, *filter(None, [said.get("platform")])])


def _code(said: Mapping[str, Any]) -> str:
    digests = said.get("digests")
    count = len(digests) if isinstance(digests, Mapping) else 0
    modules = f"{count} module{'' if count == 1 else 's'}" if count else ""
    root = said.get("project_root")
    parts = [said.get("entry") or said.get("script"), root and f"in {root}", modules]
    return ", ".join(str(part) for part in [*parts, _commit(said.get("git"))] if part)


def _commit(git: object) -> str:
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return f"commit {str(git['commit'])[:12]}{' with changes' if git.get('dirty') else ''}"


def _callbacks(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sets = said.get("callbacks")
    for each in sets if isinstance(sets, list) else []:
        functions = each.get("functions") if isinstance(each, Mapping) else None
        if isinstance(functions, Mapping) and functions:
            yield str(each.get("name")), ", ".join(map(_function, functions.items()))


def _function(item: tuple[str, Any]) -> str:
    callback, function = item
    said = function if isinstance(function, Mapping) else {}
    digest = str(said.get("digest") or "no code in Python")
    return f"{callback} {said.get('function')} ({digest[:12]})"


def _changed(before: Sequence[RecordedOwner], owner: RecordedOwner) -> str:
    """What of the code is not as the owner before had it; one that had none does not count."""
    earlier = [each for each in before if each.how != "adopted"]
    if owner.how == "adopted" or not earlier:
        return ""
    changed = code_changes(earlier[-1].provenance, owner.provenance)
    return f"; changed since: {', '.join(changed)}" if changed else ""
