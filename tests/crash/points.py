"""The named points at which a client is killed: in its code, and at the backend's end of the wire."""

import os
import signal
from pathlib import Path
from typing import Any

from checker import Verdict
from scene import Scene, scene, story

from arkor.testing import Answer, Received, ScriptedBackend

EVENTS = 12

CODE: dict[str, tuple[Any, ...]] = {
    "before the wish": ("call:own", 1),
    "in the transaction of the wish": ("return:Transaction.create_run", 1),
    "after the wish": ("return:own", 1),
    "before the request": ("call:CloudApiClient.create_job", 1),
    "after the answer, before its record": ("call:submitted", 1),
    "in the transaction of the answer": (
        "return:Transaction.append", 1, "entries and entries[0].type == 'arkor.submitted'"),
    "after the answer's record": ("return:Submission.ensure", 1),
    "before an append": ("call:Ingest._append", 1, "taken.entries"),
    "in the transaction of an append": (
        "return:Transaction.append", 1, "entries and entries[0].source == 'stream'"),
    "after an append": ("return:Ingest._append", 1, "taken.entries"),
    "before a callback": ("call:BoundCallbacks.call", 4),
    "in a callback": ("call:Consumer.note", 5),
    "after a callback, before its receipt": ("return:BoundCallbacks.call", 4),
    "before an effect": ("call:Consumer.effect", 2),
    "after an effect, before its record": ("return:Consumer.effect", 2),
    "in the transaction of an effect": (
        "return:Transaction.append", 2, "entries and entries[0].type == 'arkor.step.completed'"),
    "after an effect's record": ("return:Call._record", 2),
    "before a receipt": ("call:OwnedRun.sign", 5),
    "in the transaction of a receipt": (
        "return:Transaction.append", 5, "entries and entries[0].type == 'arkor.callback.completed'"),
    "after a receipt": ("return:OwnedRun.sign", 5),
    "before the terminal record": ("call:Ingest._append", 1, "taken.terminal"),
    "after the terminal record": ("return:Ingest._append", 1, "taken.terminal"),
    "before the last callback": ("call:BoundCallbacks.call", 1, "callback == 'on_completed'"),
    "after the last callback": ("return:BoundCallbacks.call", 2, "callback == 'on_completed'"),
    "before the run is given up": ("call:OwnedRun.release", 1),
    "after the run was given up": ("return:OwnedRun.release", 1),
}  # fmt: skip
"""A profile event and a function, how often, and a condition; see child.py."""

SETTLED = ("before the run is given up", "after the run was given up")
"""From here on nothing is owed: the same script would begin another run, unless it has a key."""

TAKING = {
    "before the lease is taken": ("call:take", 1),
    "in the transaction of the lease": ("return:Transaction.take_lease", 1),
    "after the lease was taken": ("return:own", 1),
    "before the log is folded": ("call:open_run", 1),
}
"""Points of a second process, that takes the run over from one that died."""

REQUESTED = "the request came, no job is made"
ACCEPTED = "the job is made, its answer is lost"
WIRE = (REQUESTED, ACCEPTED)
"""Points of the backend: the client is killed while it waits for the answer to its POST."""

BEFORE_THE_JOB = ("before the wish", "after the wish", "before the request",
                  "after the answer, before its record")  # fmt: skip
"""Those at which it matters what a backend makes of an idempotency key."""


def kill_at(folder: Path, point: str, *, idempotency: bool = True) -> Verdict:
    """Kill a client at a named point, run the same script again, and judge."""
    given = {"key": "nightly"} if point in SETTLED else {}
    with scene(folder, story(EVENTS), idempotency=idempotency) as here:
        if point in WIRE:
            _kill_on_the_wire(here, accepted=point == ACCEPTED)
        elif point in TAKING:
            _die(here, CODE["after a callback, before its receipt"])
            _die(here, TAKING[point])
        else:
            _die(here, CODE[point], **given)
        return here.finish(**given)


def _die(here: Scene, point: tuple[Any, ...], **given: Any) -> None:
    code = here.run(point=point, **given)
    assert code == -signal.SIGKILL, f"{point} was not passed: {here.stderr()}"


def _kill_on_the_wire(here: Scene, *, accepted: bool) -> None:
    backend: ScriptedBackend = here.backend
    pids: list[int] = []

    def respond(request: Received) -> Answer:
        if accepted:
            backend.create_job(request)
        os.kill(pids[0], signal.SIGKILL)
        return Answer(500)

    backend.on("POST", "/v1/jobs", respond, backend.create_job)
    with here.start() as child:
        pids.append(child.pid)
        child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, here.stderr()
