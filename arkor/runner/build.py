"""Build an entry into one reproducible file, with the modules of the project that it imports."""

import ast
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from arkor.errors import EntryError
from arkor.runner.artifact import SUFFIX, pack
from arkor.runner.entry import find_entry
from arkor.runner.modules import base_of
from arkor.runner.sources import Folder, Place, join, locate, parent
from arkor.store.state import project_root

__all__ = ["Built", "build"]


@dataclass(frozen=True, slots=True)
class Built:
    """A built artifact.

    `path` and `entry` are absolute. `modules` maps the path of each module in it, relative to
    the project's root, to its SHA-256; `sha256` is that of the whole file.
    """

    path: Path
    sha256: str
    entry: Path
    modules: Mapping[str, str]


def build(
    entry: Path | str | None = None,
    *,
    out: Path | str | None = None,
    cwd: Path | str | None = None,
) -> Built:
    """Write `.arkor/build/index.pyz` under the project's root, or `out` (a `.pyz` file or a folder).

    No code of the project runs. A module that is imported by a computed name is not found, and
    installed packages are not included. Raises `EntryError` if there is no such entry or a
    module has a syntax error.
    """
    found = find_entry(entry, cwd=cwd, what="Build")
    if found.suffix == SUFFIX:
        raise EntryError(f"{found} is built already; name the source file of the entry")
    root = project_root(found.parent)
    name = found.relative_to(root).as_posix()
    modules = _Scan(Folder(root), name).modules
    content = pack(name, modules)
    path = _target(root if out is None else Path(cwd or "."), out)
    _write(path, content)
    return Built(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        entry=found,
        modules={each: hashlib.sha256(modules[each]).hexdigest() for each in sorted(modules)},
    )


class _Scan:
    """The modules that an entry imports, found in the places where `import_entry` looks.

    `modules` maps the path of each to its source.
    """

    def __init__(self, tree: Folder, entry: str) -> None:
        self.modules: dict[str, bytes] = {}
        self._tree = tree
        self._base, self._folder = base_of(entry), parent(entry)
        self._add(entry.removesuffix(".py").removesuffix("__init__").rstrip("/"))

    def _add(self, path: str) -> None:
        """Take the module at `path`, the packages that it is in, and what all of them import."""
        below = path.removeprefix(self._base).lstrip("/").split("/")
        for depth in range(len(below) + 1):
            place = locate(self._tree, join(self._base, "/".join(below[:depth])))
            if place is not None and place.source is not None and place.path not in self.modules:
                self.modules[place.path] = place.source
                for target in self._imports(place, place.source):
                    self._add(target)

    def _imports(self, place: Place, source: bytes) -> Iterator[str]:
        """The paths at which a module's imports may be; not all of them exist."""
        for node in ast.walk(_parse(source, self._tree.label(place.path))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._absolute(alias.name)
            elif isinstance(node, ast.ImportFrom):
                for target in self._origin(node, place):
                    yield target
                    yield from (join(target, alias.name) for alias in node.names)
                    if node.names[0].name == "*":
                        yield from self._children(target)

    def _origin(self, node: ast.ImportFrom, place: Place) -> Iterator[str]:
        module = (node.module or "").replace(".", "/")
        if node.level == 0:
            yield from self._absolute(module)
            return
        folder = parent(place.path)
        for _ in range(node.level - 1):
            if folder == self._base:  # beyond the top: Python will say so when it runs
                return
            folder = parent(folder)
        yield join(folder, module)

    def _absolute(self, name: str) -> Iterator[str]:
        path = name.replace(".", "/")
        if path.partition("/")[0] != "arkor":
            yield join(self._folder, path)

    def _children(self, package: str) -> Iterator[str]:
        """What `from package import *` may import besides, if the package has an `__all__`."""
        for file in sorted((self._tree.root / package).glob("*.py")):
            if file.stem != "__init__":
                yield join(package, file.stem)


def _parse(source: bytes, file: str) -> ast.Module:
    try:
        return ast.parse(source, file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        text = getattr(error, "msg", None) or str(error)
        raise EntryError(f"{file}:{line}: {type(error).__name__}: {text}") from error


def _target(base: Path, out: Path | str | None) -> Path:
    path = base / (out or Path(".arkor", "build"))
    return Path(os.path.abspath(path if path.suffix == SUFFIX else path / f"index{SUFFIX}"))


def _write(path: Path, content: bytes) -> None:
    """Write the file whole or not at all: a run may be loading the one from before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
