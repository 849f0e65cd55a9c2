"""The N-th write, or the N-th sync, of a run fails: a typed error, and a whole resume."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from checker import Verdict
from scene import scene, story

FAULTS = ("pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fdatasync:error=EIO", "fsync:error=EIO")
EVENTS = 12
INJECTED = re.compile(r"^(\d+) +\w+\(\d+<([^>]*)>.*\(INJECTED\)", re.M)
CLOSING = "/arkor.db, as it closes"


@dataclass(frozen=True)
class Failure:
    """What came of one fault. `places` are the files whose write or sync failed; none if there
    were fewer than N of them. `error` is the type of what was raised.
    """

    fault: str
    places: tuple[str, ...]
    error: str | None
    warned: bool
    verdict: Verdict

    @property
    def harmless(self) -> bool:
        """Whether nothing has to be raised. Three faults cost nothing: the name of a lock's holder
        is not written; SQLite's sync of a folder fails, which it passes over for filesystems that
        have none; the journal is not copied from its write-ahead log as the last one closes it.
        A fourth, that a settled run is not given up, costs no more and is told as a warning.
        """
        unseen = all(place.endswith((".lock", "/store", CLOSING)) for place in self.places)
        return unseen or self.warned

    @property
    def wrong(self) -> dict[str, object]:
        """What must not be."""
        silent = {} if self.error or self.harmless else {"silent": self.places}
        return silent | self.verdict.wrong()


def available() -> bool:
    """Whether strace(1) is here: faults come from outside the process."""
    return shutil.which("strace") is not None


def fail_nth(folder: Path, fault: str, nth: int) -> Failure:
    """Run a client whose `nth` system call of a kind fails, run it again without, and judge.

    strace counts for each thread apart.
    """
    trace = folder / "trace"
    kind = fault.partition(":")[0]
    inject = ["strace", "-f", "-y", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={kind}",
              "-e", f"inject={fault}:when={nth}"]  # fmt: skip
    with scene(folder, story(EVENTS)) as here:
        code = here.run(*inject, key="nightly")
        last = here.lines()[-1] if here.lines() else {}
        error = last.get("error")
        assert (code, error) in ((0, None), (4, "JournalError")), f"{code} {last} {here.stderr()}"
        assert error is None or str(here.database) in last["said"]
        return Failure(
            fault=f"{fault}:when={nth}",
            places=tuple(_place(*each, last) for each in INJECTED.findall(trace.read_text())),
            error=error,
            warned=code == 0 and str(here.database) in here.stderr(),
            verdict=here.finish(key="nightly"),
        )


def _place(thread: str, path: str, line: Mapping[str, Any]) -> str:
    """The file; and whether it was the main thread's doing, which never writes but as it closes."""
    return f"{path}, as it closes" if int(thread) == line.get("pid") else path


def fail_each(folder: Path, fault: str, *, step: int = 1, start: int = 1) -> Iterator[Failure]:
    """N = `start`, `start + step` …, until a pass without a fault."""
    for nth in count(start, step):
        failure = fail_nth(folder / f"{fault.replace(':', '-')}-{nth}", fault, nth)
        if not failure.places:
            return
        yield failure
