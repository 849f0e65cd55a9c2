"""Several processes on one run: the leader is killed, or stalls and wakes up too late."""

import os
import random
import selectors
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from checker import Verdict
from scene import Scene, kill, scene, story

from arkor.testing import Until

KEY = "nightly"
LEASE_SECONDS = 30.0
WAYS = ("start", "attach", "resume")


def rivals(folder: Path, *, processes: int, kills: int, seed: int) -> Verdict:
    """Kill whoever leads, `kills` times, each time replaced by a newcomer; then judge."""
    dice = random.Random(seed)
    events = 40 * (kills + 1)
    with (
        scene(folder, story(events, checkpoint_every=10, pause=0.002)) as here,
        ExitStack() as stack,
    ):
        crowd = _Crowd(here, stack)
        crowd.join()
        crowd.wait_for_calls(1)
        while len(crowd.members) < processes:
            crowd.join()
        for _ in range(kills):
            leader = crowd.wait_for_calls(dice.randint(1, 2 * 3 * 30))
            time.sleep(dice.uniform(0, 0.004))
            assert kill(crowd.leave(leader)), here.stderr()
            crowd.join()
        for child in list(crowd.members.values()):
            child.communicate(timeout=100)
            assert child.returncode == 0, f"{here.lines()[-5:]}\n{here.stderr()}"
        verdict = here.judge()
        ended = [line for line in here.lines() if line.get("ended") == "completed"]
        assert len(ended) == processes
        return verdict


class _Crowd:
    """The children that want the run, in every way there is to take one."""

    def __init__(self, here: Scene, stack: ExitStack) -> None:
        self.members: dict[int, subprocess.Popen[bytes]] = {}
        self._here = here
        self._stack = stack
        self._joined = 0
        self._pipes = stack.enter_context(selectors.DefaultSelector())

    def join(self) -> None:
        """Start one more. The ways that need an id need a leader to learn it from."""
        given: dict[str, Any] = {"key": KEY, "patient": True, "how": WAYS[self._joined % 3]}
        if given["how"] != "start":
            owner = next(line for line in self._here.lines() if "owner" in line)
            given["id"] = owner["job" if given["how"] == "attach" else "run"]
        self._joined += 1
        child = self._stack.enter_context(self._here.start(**given))
        self.members[child.pid] = child
        assert child.stdout is not None
        self._pipes.register(child.stdout, selectors.EVENT_READ, child.pid)

    def leave(self, pid: int) -> subprocess.Popen[bytes]:
        """Take one out."""
        child = self.members.pop(pid)
        assert child.stdout is not None
        self._pipes.unregister(child.stdout)
        return child

    def wait_for_calls(self, count: int) -> int:
        """Wait until so many callbacks were called, by anybody; the pid of who called last."""
        while True:
            for ready, _ in self._pipes.select(timeout=60):
                dots = os.read(ready.fd, 4096)
                assert dots, f"{self._here.lines()[-5:]}\n{self._here.stderr()}"
                count -= len(dots)
                if count <= 0:
                    return int(ready.data)


def stalled(folder: Path, *, really: bool) -> Verdict:
    """The leader stops in a callback, loses the run, and goes on too late.

    Either its lease is seen to run out, in its own time, or it is put back from outside.
    """
    early, late = story(24)[:6], story(24)[6:]
    with scene(folder, [*early, Until(threading.Event()), *late]) as here:
        with here.start(key=KEY, stop_at="6") as leader:
            os.waitpid(leader.pid, os.WUNTRACED)
            began = time.monotonic()
            if really:
                assert here.run(key=KEY) == 4, "the run was not the leader's to lose"
            else:
                here.ask("UPDATE leases SET expires_at = 0")
            assert here.run(key=KEY, patient=True) == 0, here.stderr()
            assert not really or time.monotonic() - began >= LEASE_SECONDS
            leader.send_signal(signal.SIGCONT)
            leader.communicate(timeout=60)
        assert leader.returncode == 4, here.stderr()
        assert here.lines()[-1]["error"] == "RunOwnedError"
        return here.judge()
