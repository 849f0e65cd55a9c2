"""Import a project's modules under a name of their own, and keep the digest of each.

A project folder may be called like an installed package (`src/arkor/` usually is). So the
project becomes a package with a made-up name, in which relative imports work, and nothing
outside is shadowed. Every load has another name: its modules are always fresh.
"""

import hashlib
import importlib
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType
from typing import Final

from arkor.runner.sources import Place, Tree, join, locate, parent

__all__ = ["base_of", "import_entry"]

_LOCK: Final = threading.RLock()
_NUMBERS: Final = itertools.count(1)


def base_of(entry: str) -> str:
    """The folder that becomes the made-up package: the root, so that `from ..x import y` works.

    A folder with a dot in its name cannot be part of a module's name; then it is the entry's.
    """
    folder = parent(entry)
    return folder if "." in folder else ""


def import_entry(tree: Tree, entry: str, digests: dict[str, str]) -> ModuleType:
    """Run the entry's code and that of what it imports; whatever it raises passes through.

    `digests` receives the SHA-256 of each module of the project, by its path: now, and when a
    function imports another one later. Absolute imports of the entry's siblings are served as
    for `python entry.py`: before anything installed while the entry is being loaded. Later they
    are served after it, so that a server which loads an entry keeps its own modules.
    """
    finder = _ProjectFinder(tree, entry, digests)
    with _LOCK, _installed(finder):
        return importlib.import_module(finder.entry_name)


class _ProjectFinder(MetaPathFinder):
    """Finds the modules of one load: all below `name`, and the entry's siblings.

    `siblings` are the top-level names that were imported absolutely.
    """

    def __init__(self, tree: Tree, entry: str, digests: dict[str, str]) -> None:
        self.name = f"arkor_project_{next(_NUMBERS)}"
        self.siblings: set[str] = set()
        self.loading = True
        self._tree = tree
        self._digests = digests
        self._base, self._folder = base_of(entry), parent(entry)
        self._entry = entry.removesuffix(".py").removesuffix("__init__").rstrip("/")
        self.entry_name = self._name_of(self._entry)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's specification, or `None` if it is not the project's."""
        top, _, rest = fullname.partition(".")
        if fullname == self.entry_name:
            return self._spec(fullname, locate(self._tree, self._entry))
        if top == self.name:
            below = rest.replace(".", "/")
            return self._spec(fullname, locate(self._tree, join(self._base, below)))
        if not rest:
            return self.find_sibling(fullname, regular=True) if self.loading else None
        if top in self.siblings:
            below = fullname.replace(".", "/")
            return self._spec(fullname, locate(self._tree, join(self._folder, below)))
        return None

    def find_sibling(self, name: str, *, regular: bool = False) -> ModuleSpec | None:
        """The entry's sibling `name`; with `regular`, no folder without `__init__.py`."""
        place = locate(self._tree, join(self._folder, name))
        if place is None or (regular and place.source is None):
            return None
        self.siblings.add(name)
        return self._spec(name, place)

    def owns(self, fullname: str) -> bool:
        """Whether this finder has, or would have, loaded the module."""
        top = fullname.partition(".")[0]
        return top == self.name or top in self.siblings

    def _name_of(self, path: str) -> str:
        *folders, stem = path.removeprefix(self._base).lstrip("/").split("/")
        return ".".join(filter(None, (self.name, *folders, stem.replace(".", "_"))))

    def _spec(self, fullname: str, place: Place | None) -> ModuleSpec | None:
        if place is None:
            return None
        if place.source is None:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [self._tree.label(place.path)]
            return spec
        loader = _Loader(fullname, place.path, place.source, self._tree, self._digests)
        inside = [self._tree.label(parent(place.path))] if place.package else None
        return spec_from_file_location(
            fullname, loader.path, loader=loader, submodule_search_locations=inside
        )


class _Loader(SourceFileLoader):
    """Runs exactly the bytes whose digest it keeps: no cached bytecode, no second reading."""

    def __init__(
        self, fullname: str, where: str, source: bytes, tree: Tree, digests: dict[str, str]
    ) -> None:
        super().__init__(fullname, str(tree.root / where))
        self._where, self._source, self._digests = where, source, digests
        self._label = tree.label(where)

    def get_data(self, path: str) -> bytes:
        return self._source if path == self.path else super().get_data(path)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, self._label)

    def exec_module(self, module: ModuleType) -> None:
        self._digests[self._where] = hashlib.sha256(self._source).hexdigest()
        super().exec_module(module)


class _LateSiblings(MetaPathFinder):
    """Answers last, for what functions of the newest entry import when they are called."""

    finder: _ProjectFinder | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if path is not None or not self.finder else self.finder.find_sibling(fullname)


_late: Final = _LateSiblings()


@contextmanager
def _installed(finder: _ProjectFinder) -> Iterator[None]:
    """Answer imports with `finder`, from now on; or not at all, if the load fails."""
    if _late.finder is not None:
        _forget(_late.finder)
        _late.finder = None
    sys.meta_path.insert(_before_path_finder(), finder)
    try:
        yield
    except BaseException:
        sys.meta_path.remove(finder)
        _forget(finder)
        sys.modules.pop(finder.name, None)
        raise
    finally:
        finder.loading = False
    if _late not in sys.meta_path:
        sys.meta_path.append(_late)
    _late.finder = finder


def _forget(finder: _ProjectFinder) -> None:
    """Drop the siblings of an earlier entry: the next one may have others of the same names."""
    for name in [name for name in sys.modules if name.partition(".")[0] in finder.siblings]:
        del sys.modules[name]
    finder.siblings.clear()


def _before_path_finder() -> int:
    ours = (index for index, item in enumerate(sys.meta_path) if isinstance(item, _ProjectFinder))
    usual = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    return min(next(ours, usual), usual)
