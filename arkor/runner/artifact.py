"""The built artifact: one zip file with an entry, its modules, and a manifest of their digests.

The same input gives the same bytes, on any machine and at any time: members are sorted, stored
as they are, and dated 1980-01-01, the first day that a zip file knows.
"""

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from arkor.client.notices import sdk_version
from arkor.errors import EntryError
from arkor.runner.provenance import python_version

__all__ = ["SUFFIX", "Artifact", "open_artifact", "pack"]

log = logging.getLogger("arkor")

SUFFIX: Final = ".pyz"
FORMAT: Final = 1
ENCRYPTED: Final = 0x1
"""The bit of a member's flags that says so (APPNOTE.TXT, 4.4.4)."""
FOLDER: Final = "project/"
"""Where the modules are. Not at the top, where a folder called `arkor` would be importable."""

DAMAGES: Final = (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, ValueError)
"""What reading a file that is no artifact, or a damaged one, raises."""

MAIN: Final = b'''"""Runs this artifact, where Arkor is installed: python index.pyz."""

import sys

from arkor import ArkorError, run_trainer_sync

if __name__ == "__main__":
    try:
        result = run_trainer_sync(sys.argv[0])
    except ArkorError as error:
        sys.exit(f"error: {error}")
    sys.exit(0 if result.succeeded else 1)
'''


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built artifact whose modules have been checked against its manifest.

    `sha256` is that of the whole file. `modules` maps the path of each module, relative to the
    project's root, to its source; `entry` is the path of one of them.
    """

    path: Path
    sha256: str
    entry: str
    modules: Mapping[str, bytes]
    arkor: str
    python: str


def pack(entry: str, modules: Mapping[str, bytes]) -> bytes:
    """The artifact's bytes."""
    manifest = {
        "format": FORMAT,
        "entry": entry,
        "arkor": sdk_version(),
        "python": python_version(),
        "modules": {path: hashlib.sha256(modules[path]).hexdigest() for path in sorted(modules)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    members = {
        "__main__.py": MAIN,
        "manifest.json": text.encode(),
        **{FOLDER + path: source for path, source in modules.items()},
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name)
            member.create_system = 3  # Unix, on Windows too
            member.external_attr = 0o100644 << 16
            archive.writestr(member, members[name])
    return written.getvalue()


def open_artifact(path: Path) -> Artifact:
    """Read an artifact whole, and check it; a warning is logged if another release built it.

    Raises `EntryError` if it is not one of ours or a module differs from its digest.
    """
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            manifest = _manifest(json.loads(_read(archive, "manifest.json")), path)
            modules = {name: _read(archive, FOLDER + name) for name in manifest["modules"]}
    except DAMAGES as error:
        raise EntryError(
            f"{path} is no artifact of Arkor, or is damaged ({error}); build it with `arkor build`"
        ) from error
    for name, digest in manifest["modules"].items():
        if hashlib.sha256(modules[name]).hexdigest() != digest:
            raise EntryError(
                f"{path}: {name} was changed after it was built; run `arkor build` again"
            )
    _compare(path, "Arkor", manifest["arkor"], sdk_version())
    _compare(path, "Python", manifest["python"], python_version())
    return Artifact(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        entry=manifest["entry"],
        modules=modules,
        arkor=manifest["arkor"],
        python=manifest["python"],
    )


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & ENCRYPTED:
        raise zipfile.BadZipFile(f"{name} is compressed or encrypted")
    return archive.read(member)


def _manifest(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise EntryError(
            f"{path}: this Arkor ({sdk_version()}) reads artifacts of format {FORMAT}; "
            "run `arkor build` again"
        )
    modules = value.get("modules")
    texts = [value.get(key) for key in ("entry", "arkor", "python")]
    if not isinstance(modules, dict) or not all(isinstance(text, str) for text in texts):
        raise ValueError("its manifest is incomplete")
    if value["entry"] not in modules:
        raise ValueError("its manifest does not list the entry")
    return value


def _compare(path: Path, what: str, built: str, running: str) -> None:
    if built.split(".")[:2] != running.split(".")[:2]:
        log.warning(
            "%s was built by %s %s and runs on %s; `arkor build` makes it anew",
            path,
            what,
            built,
            running,
        )
