"""The examination of the store's folder: who may read it, what it is on, what lies in it."""

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from arkor.runner.doctor_finding import Finding, looked
from arkor.runner.doctor_site import Site
from arkor.runner.doctor_words import shown_size
from arkor.store.network import network_filesystem
from arkor.store.paths import OTHERS, backend_path, credentials_path

__all__ = ["examine_store"]

LEAST_FREE: Final = 1_000_000_000
"""Bytes below which a disk counts as nearly full: an adapter with its checkpoints needs some."""

ANOTHER_FOLDER: Final = "set ARKOR_HOME to a folder of yours"


def examine_store(site: Site, mounts: Path) -> list[Finding]:
    """What is found in the store's folder, and about the filesystem under it."""
    findings = looked("store.folder", lambda: [_folder(site.home)], ANOTHER_FOLDER)
    if findings[0].level == "problem":
        return findings
    for check, look in (
        ("store.access", lambda: _access(site)),
        ("store.filesystem", lambda: [_filesystem(site, mounts)]),
        ("store.space", lambda: [_space(site)]),
        ("store.leftovers", lambda: list(_leftovers(site.journal))),
        ("store.backend", lambda: [_backend(site.home)]),
    ):
        findings += looked(check, look, f"make it readable, or {ANOTHER_FOLDER}")
    return findings


def _folder(home: Path) -> Finding:
    if not home.exists():
        return Finding("store.folder", "ok", f"{home} is not there yet; the first run makes it")
    if not home.is_dir():
        return Finding("store.folder", "problem", f"{home} is no folder", ANOTHER_FOLDER)
    wanted = os.R_OK | os.X_OK
    if os.access(home, wanted | os.W_OK):
        return Finding("store.folder", "ok", str(home))
    what = f"{home} is not writable" if os.access(home, wanted) else f"{home} cannot be entered"
    if _read_only(home):
        return Finding(
            "store.folder",
            "warning",
            f"{home} is on a read-only filesystem: runs can be read, and none recorded",
            "set ARKOR_HOME to a folder that can be written, to record runs",
        )
    mend = f"`chmod u+rwx {_quoted(home)}`" if _is_ours(home.stat()) else ANOTHER_FOLDER
    return Finding("store.folder", "problem", f"{what} for you", mend)


def _access(site: Site) -> list[Finding]:
    findings = [
        finding
        for path, allowed in _private(site)
        if (finding := _open_to_others(path, allowed) or _of_another(path))
    ]
    return findings or [Finding("store.access", "ok", "nobody but you can read it")]


def _private(site: Site) -> Iterator[tuple[Path, int]]:
    """What is there and is for its owner alone, and the permissions it is meant to have."""
    folders = [site.home, backend_path(site.home)]
    files = [credentials_path(site.home), backend_path(site.home) / "server.json"]
    if site.journal is not None:
        name = site.journal.name
        files += [site.journal, *sorted(site.journal.parent.glob(f"{name}[-.]*"))]
    yield from ((folder, 0o700) for folder in folders if folder.is_dir())
    yield from ((file, 0o600) for file in files if file.is_file())


def _open_to_others(path: Path, allowed: int) -> Finding | None:
    mode = stat.S_IMODE(path.stat().st_mode)
    # A folder with the sticky bit is shared by intent, as /tmp is.
    if not mode & OTHERS or mode & stat.S_ISVTX:
        return None
    return Finding(
        "store.access",
        "warning",
        f"{path} is open to others (mode {mode:04o})",
        f"`chmod {allowed:o} {_quoted(path)}`",
    )


def _of_another(path: Path) -> Finding | None:
    found = path.stat()
    if _is_ours(found):
        return None
    return Finding(
        "store.access",
        "warning",
        f"{path} belongs to {_user(found.st_uid)}, and you are {_user(os.geteuid())}",
        f"`sudo chown {_user(os.geteuid())} {_quoted(path)}`, if it is yours",
    )


def _filesystem(site: Site, mounts: Path) -> Finding:
    path = site.journal or site.home
    kind = network_filesystem(path, mounts)
    if kind is None:
        return Finding("store.filesystem", "ok", "a filesystem of this machine")
    return Finding(
        "store.filesystem",
        "warning",
        f"{path} is on a network filesystem ({kind}): slower, and for one host at a time",
        "set ARKOR_HOME to a folder on a disk of this machine",
    )


def _space(site: Site) -> Finding:
    journal = site.journal or site.home / "arkor.db"
    disk = os.statvfs(next(each for each in journal.parents if each.exists()))
    free = disk.f_bavail * disk.f_frsize
    size = sum(file.stat().st_size for file in (journal, _beside(journal, "-wal")) if file.exists())
    what = f"{shown_size(free)} free, journal of {shown_size(size)}"
    # Folding the log into the file, or migrating it, may need as much again.
    if free >= LEAST_FREE and free >= 2 * size:
        return Finding("store.space", "ok", what)
    return Finding(
        "store.space",
        "warning",
        f"the disk of {journal.parent} is nearly full: {what}",
        "free some space, `arkor prune` old runs, or set ARKOR_HOME to another disk",
    )


def _leftovers(journal: Path | None) -> Iterator[Finding]:
    if journal is None:
        return
    log = _beside(journal, "-wal")
    if log.exists() and not journal.exists():
        yield Finding(
            "store.leftovers",
            "problem",
            f"{journal} is gone, and {log.name} with its newest records is still there",
            f"put {journal.name} back beside it; do not remove {log.name}",
        )
    backups = sorted(journal.parent.glob(f"{journal.name}.[0-9]*"))
    if backups:
        size = shown_size(sum(each.stat().st_size for each in backups))
        yield Finding(
            "store.leftovers",
            "note",
            f"copies of the journal from before a migration: {len(backups)}, of {size}",
            f"once `arkor store check` is content: `rm {' '.join(map(_quoted, backups))}`",
        )


def _backend(home: Path) -> Finding:
    folder = backend_path(home)
    if not folder.exists():
        return Finding("store.backend", "ok", "the embedded backend keeps nothing here yet")
    sizes = {name: _size(folder / name) for name in ("jobs", "datasets", "models")}
    parts = ", ".join(f"{name} {shown_size(size)}" for name, size in sizes.items())
    return Finding("store.backend", "ok", f"the embedded backend's files: {parts}")


def _size(folder: Path) -> int:
    return sum(
        entry.stat(follow_symlinks=False).st_size
        for place, _, _ in os.walk(folder)
        for entry in os.scandir(place)
        if entry.is_file(follow_symlinks=False)
    )


def _read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _beside(journal: Path, suffix: str) -> Path:
    return journal.with_name(f"{journal.name}{suffix}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
