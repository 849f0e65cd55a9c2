"""Load a training entry: a source file, a built artifact, or the project's default."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from arkor.errors import EntryError
from arkor.runner.artifact import SUFFIX, open_artifact
from arkor.runner.modules import import_entry
from arkor.runner.provenance import EntrySource, loading
from arkor.runner.settings import load_settings
from arkor.runner.sources import Archive, Folder, Tree, is_own
from arkor.store.state import project_root

__all__ = ["Loaded", "default_entry", "find_entry", "load_entry"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An entry whose code has run.

    `digests` maps the path of each module of the project that was executed, relative to
    `project_root`, to its SHA-256. `artifact_sha256` is that of the built file, if `path` is one.
    """

    module: ModuleType
    path: Path
    project_root: Path
    digests: dict[str, str]
    artifact_sha256: str | None = None


def default_entry(cwd: Path | str | None = None) -> Path:
    """The entry of the project that `cwd` is in: that of its settings, else the usual place."""
    return load_settings(cwd).entry or project_root(cwd) / "src" / "arkor" / "index.py"


def find_entry(
    path: Path | str | None = None, *, cwd: Path | str | None = None, what: str = "Training"
) -> Path:
    """The absolute path of an entry that exists. Raises `EntryError` if it does not."""
    found = default_entry(cwd) if path is None else Path(os.path.abspath(Path(cwd or ".", path)))
    if found.is_dir():
        raise EntryError(f"{found} is a folder; name the file in it that defines the trainer")
    if not found.is_file():
        raise EntryError(
            f"{what} entry not found: {found}; name the file that defines the trainer, set "
            "`entry` under [tool.arkor] in pyproject.toml, or make a project with `arkor init`"
        )
    if found.suffix not in {".py", SUFFIX}:
        raise EntryError(f"{found} must be a Python file (.py) or a built artifact ({SUFFIX})")
    return found.resolve()


def load_entry(path: Path | str | None = None) -> Loaded:
    """Run the code of an entry, anew with each call.

    Relative imports between the entry and its project work, and absolute ones of its siblings.
    Raises `EntryError` if there is no such file, or with the place and the text of what its
    code raised (which is the cause).
    """
    found = find_entry(path)
    tree: Tree
    if found.suffix == SUFFIX:
        artifact = open_artifact(found)
        source = EntrySource(found, _root_around(found), artifact_sha256=artifact.sha256)
        tree, entry = Archive(source.project_root, found, artifact.modules), artifact.entry
    else:
        source = EntrySource(found, project_root(found.parent))
        tree, entry = Folder(source.project_root), source.name
    with loading(source), _located(tree.label(""), found):
        module = import_entry(tree, entry, source.digests)
    return Loaded(
        module, found, source.project_root, source.digests, artifact_sha256=source.artifact_sha256
    )


def _root_around(artifact: Path) -> Path:
    """The root of the project that an artifact was built in, or else its own folder's."""
    *_, before, last = ("", *artifact.parent.parts[-2:])
    if (before, last) == (".arkor", "build"):
        return artifact.parents[2]
    return project_root(artifact.parent)


@contextmanager
def _located(inside: str, entry: Path) -> Iterator[None]:
    """Turn what the entry's code raises into one line that says where it did so."""
    try:
        yield
    except (Exception, SystemExit) as error:
        where, text = _place(error, inside) or str(entry), _summary(error)
        raise EntryError(f"The training entry cannot be loaded. {where}: {text}") from error


def _place(error: BaseException, inside: str) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if is_own(frame.filename, inside)]
    return f"{ours[-1].filename}:{ours[-1].lineno}" if ours else None


def _summary(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it calls sys.exit() while it is being imported; do that under `if __name__ == ...`"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
