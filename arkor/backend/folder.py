"""Where the embedded backend keeps its things, and how it writes a small file."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["Folder", "new_file", "write_private"]

log = logging.getLogger("arkor.backend")

_BEGUN: Final = ".new."
"""What the name of a file that is not whole yet begins with."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The backend's folder, `backend/` in the store's; each name is a path in it."""

    path: Path

    @property
    def database(self) -> Path:
        """The backend's own database."""
        return self.path / "backend.db"

    @property
    def endpoints(self) -> Path:
        """The endpoints, and the digests of their keys."""
        return self.path / "endpoints.json"

    @property
    def server_file(self) -> Path:
        """What describes the running server to its clients."""
        return self.path / "server.json"

    @property
    def identity_file(self) -> Path:
        """The token and the port, which outlive a server so that its clients find the next one."""
        return self.path / "identity.json"

    @property
    def lock(self) -> Path:
        """The file that the one running server holds locked; its text is the server's pid."""
        return self.path / "lock"

    @property
    def stopped(self) -> Path:
        """What says that the server ended because somebody wanted it to."""
        return self.path / "stopped"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "backend.log"

    @property
    def chat_log(self) -> Path:
        """What the chat process writes to stderr."""
        return self.path / "chat.log"

    @property
    def datasets(self) -> Path:
        """The uploaded files."""
        return self.path / "datasets"

    def dataset(self, sha256: str) -> Path:
        """The uploaded file with this digest, in hex."""
        return self.datasets / f"{sha256}.jsonl"

    @property
    def jobs(self) -> Path:
        """The folders of the jobs, each named by the job's id."""
        return self.path / "jobs"

    def job(self, job_id: str) -> Path:
        """A job's folder: its order, its log, its checkpoints and its adapter."""
        return self.jobs / job_id

    def create_job(self, job_id: str) -> None:
        """Make a job's folder, durably."""
        self.job(job_id).mkdir(mode=0o700)
        _sync(self.jobs)

    def create(self) -> None:
        """Make the folders, open to their owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("jobs", "datasets", "models"):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)

    def drop_begun(self) -> None:
        """Remove the files that a killed server left half-written."""
        for place in (self.path, self.datasets, *self.jobs.glob("*/")):
            for path in place.glob(f"{_BEGUN}*"):
                try:
                    path.unlink()
                except OSError as error:
                    log.error("%s was left half-written and cannot be removed: %s", path, error)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably by one that its owner alone can read."""
    with new_file(path) as stream:
        stream.write(content)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which its owner alone can read; afterwards it is at `path`, durably.

    If the block raises, nothing of it is left and `path` is as it was.
    """
    file, name = tempfile.mkstemp(dir=path.parent, prefix=_BEGUN)
    try:
        with os.fdopen(file, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make what was created in a folder, or renamed there, survive a loss of power."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
