"""The entry that a run was started from, as it is today."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arkor.core.state import RunState
from arkor.errors import EntryError
from arkor.runner.artifact import open_artifact
from arkor.runner.entry import Loaded, load_entry
from arkor.runner.manifest import find_trainer
from arkor.runner.sources import Archive, Folder, Tree
from arkor.runner.trainer import Trainer

__all__ = ["RecordedEntry", "load_recorded", "recorded_root"]


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """Today's trainer of a recorded run, and which of its project's files are not as they were.

    `changed` are paths relative to `project_root`, sorted; new files and those that are gone
    are among them.
    """

    trainer: Trainer
    path: Path
    project_root: Path
    changed: tuple[str, ...]


def load_recorded(state: RunState, entry: Path | str | None = None) -> RecordedEntry | None:
    """Load the entry that the last owner of a run recorded, or `entry` in its place.

    `None` if there is neither: the run was started by a script of its own. Raises `EntryError`
    as `load_trainer` does, and if the entry's trainer is none of `create_trainer`.
    """
    root, name = recorded_root(state), state.provenance.get("entry")
    path = entry or (root / str(name) if root else None)
    if path is None:
        return None
    loaded = load_entry(path)
    trainer = find_trainer(loaded.module)
    if not isinstance(trainer, Trainer):
        raise EntryError(f"{loaded.path} holds no trainer that create_trainer() has made")
    digests = state.provenance.get("digests")
    changed = _changed(digests, loaded) if isinstance(digests, Mapping) else ()
    return RecordedEntry(trainer, loaded.path, loaded.project_root, tuple(sorted(changed)))


def recorded_root(state: RunState) -> Path | None:
    """The project's root of the recorded entry; `None` if no entry is recorded."""
    provenance = state.provenance
    return Path(str(provenance.get("project_root") or ".")) if provenance.get("entry") else None


def _changed(recorded: Mapping[str, Any], loaded: Loaded) -> Iterator[str]:
    tree, now = _tree_of(loaded), loaded.digests
    for path, digest in recorded.items():
        # A module that a function imports when it is called has not been loaded yet.
        if (now.get(path) or _digest(tree.read(path))) != digest:
            yield path
    if recorded:
        yield from now.keys() - recorded.keys()


def _tree_of(loaded: Loaded) -> Tree:
    if loaded.artifact_sha256 is None:
        return Folder(loaded.project_root)
    return Archive(loaded.project_root, loaded.path, open_artifact(loaded.path).modules)


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
