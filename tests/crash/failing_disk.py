"""The N-th write, or the N-th sync, of a run fails: a typed error, and a whole resume."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from checker import Verdict
from scene import scene, story

FAULTS = ("pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fdatasync:error=EIO", "fsync:error=EIO")
EVENTS = 12


@dataclass(frozen=True)
class Failure:
    """What came of one fault. `reached` is false once there are fewer than N of the system calls."""

    fault: str
    reached: bool
    error: str | None
    verdict: Verdict


def available() -> bool:
    """Whether strace(1) is here: faults come from outside the process."""
    return shutil.which("strace") is not None


def fail_nth(folder: Path, fault: str, nth: int) -> Failure:
    """Run a client whose `nth` system call of a kind fails, run it again without, and judge.

    strace counts for each thread apart. A fault that costs nothing, such as one in the name of a
    lock's holder, lets the run end; any other must end it with a `JournalError`.
    """
    trace = folder / "trace"
    kind = fault.partition(":")[0]
    inject = ["strace", "-f", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={kind}",
              "-e", f"inject={fault}:when={nth}"]  # fmt: skip
    with scene(folder, story(EVENTS)) as here:
        code = here.run(*inject, key="nightly")
        last = here.lines()[-1] if here.lines() else {}
        error = last.get("error")
        assert (code, error) in ((0, None), (4, "JournalError")), f"{code} {last} {here.stderr()}"
        assert error is None or str(here.database) in last["said"]
        return Failure(
            fault=f"{fault}:when={nth}",
            reached="(INJECTED)" in trace.read_text(),
            error=error,
            verdict=here.finish(key="nightly"),
        )


def fail_each(folder: Path, fault: str, *, step: int = 1, start: int = 1) -> Iterator[Failure]:
    """N = `start`, `start + step` …, until a pass without a fault."""
    for nth in count(start, step):
        failure = fail_nth(folder / f"{fault.replace(':', '-')}-{nth}", fault, nth)
        if not failure.reached:
            return
        yield failure
