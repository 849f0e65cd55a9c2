"""Where a project's code is, a folder or a built artifact, and what a module's path means there.

Paths are relative to the project's root, with `/`, and never leave it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Archive", "Folder", "Place", "Tree", "is_own", "join", "locate", "parent"]


class Tree(Protocol):
    """The source files of a project."""

    @property
    def root(self) -> Path:
        """The folder that the modules' `__file__` is below."""

    def read(self, path: str) -> bytes | None:
        """The content of a file, or `None` if there is none."""

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""

    def label(self, path: str) -> str:
        """What a traceback calls the file."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The project as it lies on disk."""

    root: Path

    def read(self, path: str) -> bytes | None:
        """The content of a file as it is now."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder now."""
        return (self.root / path).is_dir()

    def label(self, path: str) -> str:
        """The file itself."""
        return str(self.root / path)


@dataclass(frozen=True, slots=True)
class Archive:
    """The modules of a built artifact, read once.

    Their `__file__` is where they would be in the project at `root`, so that code which finds
    its data beside it does so here too.
    """

    root: Path
    file: Path
    modules: Mapping[str, bytes]

    def read(self, path: str) -> bytes | None:
        """The content of a module's file."""
        return self.modules.get(path)

    def is_folder(self, path: str) -> bool:
        """Whether a module is below this folder."""
        return any(module.startswith(f"{path}/" if path else "") for module in self.modules)

    def label(self, path: str) -> str:
        """The artifact, and the path in it."""
        return f"{self.file}/{path}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module is: its file, or its folder if it is a package without `__init__.py`."""

    path: str
    package: bool
    source: bytes | None


def locate(tree: Tree, path: str) -> Place | None:
    """The module at `path` (without a suffix), looked for in the order that Python has."""
    for file, package in ((join(path, "__init__.py"), True), (f"{path}.py", False)):
        if (source := tree.read(file)) is not None:
            return Place(file, package, source)
    return Place(path, True, None) if tree.is_folder(path) else None


def join(folder: str, path: str) -> str:
    """`path` below `folder`; either may be empty, and an empty folder is the root."""
    return f"{folder}/{path}" if folder and path else folder or path


def parent(path: str) -> str:
    """The folder of `path`; empty if that is the root."""
    return path.rpartition("/")[0]


def is_own(file: str, root: Path | str) -> bool:
    """Whether `file` is a source file below `root`, and not of something installed there."""
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return file.endswith(".py") and not installed and Path(file).is_relative_to(root)
