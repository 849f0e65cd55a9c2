"""Who had a run, from its first owner to its last, as the log says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from arkor.core.notes import Attached, Resumed, SubmitRequested, read_note
from arkor.core.record import Record

__all__ = ["How", "RecordedOwner", "code_changes", "owner_of", "owners_in"]

How = Literal["submitted", "attached", "resumed", "adopted"]

OWNING: Final = frozenset({SubmitRequested.TYPE, Attached.TYPE, Resumed.TYPE})


@dataclass(frozen=True, slots=True)
class RecordedOwner:
    """One process that had the run, from record `seq` on.

    `how` it came to it (`adopted` is `arkor adopt`: it said which job the run is); `clean` unless the owner before died while it may have been calling.
    `consumers` are the callback sets that it named, and `provenance` what it said of itself:
    host, user, versions, code, callbacks. What an older release did not say is not in there.
    """

    seq: int
    recorded_at: str
    how: How
    clean: bool = True
    consumers: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def owner_of(record: Record) -> RecordedOwner | None:
    """The owner that this record says has come; `None` for any other record. Never raises."""
    note = read_note(record) if record.type in OWNING else None
    if not isinstance(note, SubmitRequested | Attached | Resumed):
        return None
    clean = not isinstance(note, Resumed) or note.clean
    return RecordedOwner(
        record.seq, record.recorded_at, _how(note), clean, note.consumers, note.provenance
    )


def _how(note: SubmitRequested | Attached | Resumed) -> How:
    match note:
        case SubmitRequested():
            return "submitted"
        case Attached():
            return "attached"
        case Resumed(without_code=True):
            return "adopted"
        case _:
            return "resumed"


def owners_in(records: Iterable[Record]) -> Iterator[RecordedOwner]:
    """The owners that a log names, in order. Streams."""
    return (owner for record in records if (owner := owner_of(record)) is not None)


def code_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What runs under the provenance `after` and ran otherwise, or not at all, under `before`.

    Paths of modules, and callbacks as `set.callback`; sorted. Of two minor versions of Python
    the callbacks are not compared: their digests differ by that alone.
    """
    changed = _differing(_mapping(before.get("digests")), _mapping(after.get("digests")))
    if _minor(before) == _minor(after):
        changed |= _differing(_callbacks(before), _callbacks(after))
    return sorted(changed)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    # Records of a release that said nothing are no evidence of a change.
    if not before or not after:
        return set()
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _callbacks(provenance: Mapping[str, Any]) -> dict[str, Any]:
    sets = provenance.get("callbacks")
    return {
        f"{each.get('name')}.{callback}": (function.get("function"), function.get("digest"))
        for each in (sets if isinstance(sets, list) else [])
        if isinstance(each, Mapping)
        for callback, function in _mapping(each.get("functions")).items()
        if isinstance(function, Mapping)
    }


def _minor(provenance: Mapping[str, Any]) -> list[str]:
    return str(provenance.get("python")).split(".")[:2]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
