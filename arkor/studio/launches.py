"""Commands that Studio starts: processes of their own, which outlive the page and Studio."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from arkor.errors import ArkorError, ConfigError
from arkor.store.files import write_private
from arkor.store.owner import process_start
from arkor.store.paths import ensure_home

__all__ = ["Launch", "Launches"]

KEPT: Final = 50
"""Launches whose logs are kept, the newest."""

_ID: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
_END: Final = re.compile(r"\n---\nexit=(-?\d+)\n\Z")


@dataclass(frozen=True, slots=True)
class Launch:
    """One process that was started here. `what` is `train`, `dry run` or `resume`.

    `process_start` tells the process from a later one with its pid. `run_id` is the run that is
    resumed. `started_at` is in seconds since 1970.
    """

    id: str
    what: str
    pid: int
    process_start: str
    project_root: str
    started_at: float
    run_id: str | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return bool(self.process_start) and process_start(self.pid) == self.process_start

    def stop(self) -> None:
        """Ask the process to leave its run, which goes on at the backend."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)


class Launches:
    """The launches of a store's folder, with what they print, in files that only their user reads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "studio"

    def start(
        self, arguments: Sequence[str], *, what: str, cwd: Path, run_id: str | None = None
    ) -> Launch:
        """Start `arkor ARGUMENTS` in `cwd`, in a session of its own: no terminal ends it.

        Raises `ArkorError` if no process can be started.
        """
        ensure_home(self._home)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._forget()
            name = f"{int(time.time() * 1000):013}-{secrets.token_hex(4)}"
            process = self._spawn(name, arguments, cwd)
            launch = Launch(
                id=name,
                what=what,
                pid=process.pid,
                process_start=process_start(process.pid) or "",
                project_root=str(cwd),
                started_at=time.time(),
                run_id=run_id,
            )
            self._write(launch)
        except OSError as error:
            raise ArkorError(f"failed to start: {error.strerror}: {error.filename}") from error
        threading.Thread(
            target=self._reap, args=(process, name), name=f"arkor-{what}", daemon=True
        ).start()
        return launch

    def get(self, id: str) -> Launch:
        """The launch of that id. Raises `ConfigError` if there is none."""
        found = self._read(self._folder / f"{id}.json") if _ID.fullmatch(id) else None
        if found is None:
            raise ConfigError(f"Studio has started nothing with the id {id!r}", field="id")
        return found

    def every(self) -> list[Launch]:
        """All that are kept, the newest first."""
        found = sorted(self._folder.glob("*.json"), reverse=True)
        return [launch for launch in map(self._read, found) if launch is not None]

    def of_process(self, pid: int, start: str) -> Launch | None:
        """The launch whose process this is."""
        mine = (each for each in self.every() if (each.pid, each.process_start) == (pid, start))
        return next(mine, None)

    def output(self, id: str, offset: int, most: int) -> tuple[str, int]:
        """What the process printed from byte `offset` on, and where that ends."""
        try:
            with self._log(id).open("rb") as file:
                file.seek(offset)
                text = file.read(most)
        except FileNotFoundError:
            return "", offset
        return text.decode(errors="replace"), offset + len(text)

    def exit_code(self, id: str) -> int | None:
        """How the process ended; `None` while it runs, or if Studio was gone when it ended."""
        try:
            with self._log(id).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(file.tell() - 64, 0))
                end = _END.search(file.read().decode(errors="replace"))
        except FileNotFoundError:
            return None
        return int(end[1]) if end else None

    def _spawn(self, id: str, arguments: Sequence[str], cwd: Path) -> "subprocess.Popen[bytes]":
        environ = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
        handle = os.open(self._log(id), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "arkor", *arguments],
                cwd=cwd,
                env=environ
                | {"ARKOR_HOME": str(self._home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _reap(self, process: "subprocess.Popen[bytes]", id: str) -> None:
        code = process.wait()
        with self._log(id).open("a") as log:
            log.write(f"\n---\nexit={code}\n")

    def _write(self, launch: Launch) -> None:
        path = self._folder / f"{launch.id}.json"
        write_private(path, json.dumps(asdict(launch)).encode(), part=path.with_suffix(".part"))

    def _read(self, path: Path) -> Launch | None:
        try:
            return Launch(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # pruned meanwhile, or of another release: it is no launch of ours

    def _forget(self) -> None:
        ended = [launch for launch in self.every()[KEPT:] if not launch.alive]
        for launch in ended:
            (self._folder / f"{launch.id}.json").unlink(missing_ok=True)
            self._log(launch.id).unlink(missing_ok=True)

    def _log(self, id: str) -> Path:
        return self._folder / f"{id}.log"
