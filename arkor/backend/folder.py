"""Where the embedded backend keeps its things, and how it writes a small file."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Folder", "write_private"]


@dataclass(frozen=True, slots=True)
class Folder:
    """The backend's folder, `backend/` in the store's; each name is a path in it."""

    path: Path

    @property
    def database(self) -> Path:
        """The backend's own database."""
        return self.path / "backend.db"

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

    def job(self, job_id: str) -> Path:
        """A job's folder: its order, its log, its checkpoints and its adapter."""
        return self.path / "jobs" / job_id

    def create(self) -> None:
        """Make the folders, open to their owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("jobs", "datasets", "models"):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably by one that its owner alone can read."""
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
