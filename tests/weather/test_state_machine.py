"""Runs under every mixture of trouble, against a model that a page explains.

Real processes follow a real backend's stream into a real journal. Hypothesis has them killed,
cut off, lied to, cancelled and taken over; the model knows which jobs there must be, and which
calls each consumer is due. `WEATHER_EXAMPLES=500` looks longer.
"""

import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from live_backend import LiveBackend
from watcher import KEY, PATIENCE, Process

from arkor.core.record import GENESIS, canonical, digest_of
from arkor.store.journal import Journal
from arkor.store.paths import journal_path

EXAMPLES = int(os.environ.get("WEATHER_EXAMPLES", "12"))
CONSUMERS = ("logs", "ends")
MALFORMED = "training.checkpoint"

Due = tuple[str, int | None]
"""A call that is owed: the callback, and the number of its event."""


@dataclass
class Run:
    """What the model knows of one run: what was sent, and what follows from it."""

    job: str
    sent: list[tuple[str | None, str, int]] = field(default_factory=list)
    status: str = "running"
    calls: dict[str, list[tuple[int, str, int | None, int]]] = field(
        default_factory=lambda: {name: [] for name in CONSUMERS}
    )
    faults: set[tuple[str, str, int | None]] = field(default_factory=set)
    settled: bool = False

    def due(self, consumer: str) -> list[Due]:
        """The calls that `consumer` is owed, in order."""
        due: list[Due] = []
        for _, kind, n in self.sent:
            if kind == MALFORMED:
                continue
            typed = {"training.log": "on_log", **ENDS}.get(kind)
            if typed and (consumer == "logs" or kind in ENDS):
                due.append((typed, n))
            if consumer == "logs":
                due.append(("on_event", n))
        if self.status == "cancelled":
            due.append(("on_cancelled", None))
        return due

    def reached(self, consumer: str) -> int:
        """How many of its calls were made at least once."""
        return len({(callback, n) for _, callback, n, _ in self.calls[consumer]})

    @property
    def caught_up(self) -> bool:
        return all(self.reached(name) >= len(self.due(name)) for name in CONSUMERS)

    def check_calls(self) -> None:
        """In order, none left out, and repeated only where a process died or a call raised."""
        for name in CONSUMERS:
            due, place, process = self.due(name), -1, -1
            for where, callback, n, attempt in self.calls[name]:
                at = due.index((callback, n))
                raised = place >= 0 and (name, *due[place]) in self.faults
                if at == place:
                    assert where != process or raised, f"{name} was given {due[at]} twice"
                    assert attempt > 1, f"{name} cannot tell that {due[at]} is a repeat"
                else:
                    assert at == place + 1, f"{name} was given {due[at]} behind {due[: place + 1]}"
                place, process = at, where


ENDS = {"training.completed": "on_completed", "training.failed": "on_failed"}


class Weather(RuleBasedStateMachine):
    """`owner` is the process that has the run, `waiting` whether it is in `wait()`."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name) / "store"
        self.backend = LiveBackend().__enter__()
        self.key: str | None = None
        self.runs: list[Run] = []
        self.owner: Process | None = None
        self.waiting = False
        self.processes = 0
        self.numbers = 0

    @property
    def run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def live(self) -> Run | None:
        """The run, if it still trains."""
        return self.run if self.run and self.run.status == "running" else None

    @property
    def well_on(self) -> bool:
        """Whether so much has happened that the run may end."""
        return self.run is not None and len(self.run.sent) >= 3

    # What happens

    @initialize(keyed=st.sampled_from([False, False, True]))
    def begin(self, keyed: bool) -> None:
        self.key = KEY if keyed else None
        self.submit()

    @precondition(lambda self: self.owner is None)
    @rule()
    def submit(self) -> None:
        """Start the script: it takes up what is unfinished, or else begins a run."""
        process = self.process(key=self.key)
        said = process.hear()
        assert said[0] == "started", said
        if self.run is None or (said[1] != self.run.job and self.is_over(self.run)):
            self.runs.append(Run(said[1]))
        assert self.run is not None
        assert said[1] == self.run.job, "another job was paid for"
        self.take(process)

    def is_over(self, run: Run) -> bool:
        """Whether a script that is started again may begin another run."""
        journal = Journal(journal_path(self.home))
        # It may have been settled just before its process was killed.
        run.settled = run.settled or journal.row(run.job).settled
        journal.close()
        assert run.caught_up or not run.settled, "a settled run owes calls"
        return run.settled and self.key is None

    @precondition(lambda self: self.owner is None and self.run and not self.run.settled)
    @rule()
    def attach(self) -> None:
        process = self.process(job=self.run.job if self.run else None)
        assert process.hear() == ("started", self.run.job if self.run else "")
        self.take(process)

    @precondition(lambda self: self.live)
    @rule(
        type=st.sampled_from(["training.log"] * 3 + ["gpu.hot", "checkpoint.saved", MALFORMED]),
        named=st.booleans(),
        many=st.sampled_from([1, 1, 3, 40]),
    )
    def event(self, type: str, named: bool, many: int) -> None:
        for _ in range(many):
            self.send(type, named)

    @precondition(lambda self: self.live)
    @rule(behind=st.booleans())
    def drop(self, behind: bool) -> None:
        """The connection breaks; the next one may begin with the first event."""
        self.backend.forgetful = behind
        self.backend.drop()

    @precondition(lambda self: self.live and any(own for own, _, _ in self.live.sent))
    @rule()
    def duplicate(self) -> None:
        assert self.run is not None
        self.backend.again(self.run.job)

    @precondition(lambda self: self.owner)
    @rule()
    def crash(self) -> None:
        assert self.owner is not None
        for said in self.owner.kill():
            self.heard(said)
        self.owner = None

    @precondition(lambda self: self.waiting and self.owner and self.live)
    @rule()
    def fault(self) -> None:
        """A callback raises: the wait ends, and the run is idle."""
        assert self.owner is not None
        self.owner.pipe.send(("fault", "logs"))
        assert self.listen("armed") == ("armed",)
        self.send("training.log", named=True)
        said = self.listen("raised")
        assert said == ("raised", "FaultError")
        assert self.run is not None
        _, callback, n, _ = self.run.calls["logs"][-1]
        self.run.faults.add(("logs", callback, n))
        self.waiting = False

    @precondition(lambda self: self.owner and not self.waiting)
    @rule()
    def wait_again(self) -> None:
        assert self.owner is not None
        self.owner.pipe.send("wait")
        self.waiting = True

    @precondition(lambda self: self.owner and self.run and not self.run.settled)
    @rule()
    def take_over(self) -> None:
        """Another process wants the run: it gets one that is idle, and no other."""
        assert self.owner is not None
        assert self.run is not None
        other = self.process(job=self.run.job)
        said = other.hear()
        if self.waiting and said == ("raised", "RunOwnedError"):
            list(other.kill())
            return
        assert said == ("started", self.run.job)
        if self.waiting:
            # The run was settled in the very moment.
            assert self.listen("ended")[0] == "ended"
        else:
            self.owner.pipe.send("wait")
            assert self.listen("raised") == ("raised", "RunOwnedError")
        list(self.owner.kill())
        self.take(other)

    @precondition(lambda self: self.waiting and self.owner and self.live and self.well_on)
    @rule()
    def cancel(self) -> None:
        assert self.owner is not None
        assert self.run is not None
        self.owner.pipe.send("cancel")
        self.run.status = "cancelled"
        self.listen("cancelled")

    @precondition(lambda self: self.live and self.well_on)
    @rule(type=st.sampled_from(sorted(ENDS)), named=st.booleans())
    def finish(self, type: str, named: bool) -> None:
        self.send(type, named)
        assert self.run is not None
        self.run.status = type.removeprefix("training.")

    @precondition(lambda self: self.waiting and self.owner)
    @rule()
    def catch_up(self) -> None:
        """Everything that was sent reaches every consumer."""
        assert self.owner is not None
        assert self.run is not None
        if self.run.status != "running":
            assert self.listen("ended") == ("ended", self.run.status)
            self.run.settled = True
            list(self.owner.kill())
            self.owner = None
        else:
            deadline = time.monotonic() + PATIENCE
            while not self.run.caught_up:
                assert time.monotonic() < deadline
                self.heard(self.owner.hear())
        assert self.run.caught_up
        self.check()

    def teardown(self) -> None:
        try:
            self.to_the_end()
        finally:
            if self.owner is not None:
                list(self.owner.kill())
            self.backend.__exit__(None, None, None)
            self.folder.cleanup()

    def to_the_end(self) -> None:
        if self.run is None:
            return
        if self.live:
            self.finish("training.completed", named=True)
        if not self.run.settled:
            if self.owner is None:
                self.submit()
            elif not self.waiting:
                self.wait_again()
            self.catch_up()
        assert len(self.backend.jobs) == len(self.runs)
        for run in self.runs:
            self.check_log(run)

    # How it is done

    def process(self, key: str | None = None, job: str | None = None) -> Process:
        self.processes += 1
        return Process(self.processes, self.backend.url, self.folder.name, key=key, job=job)

    def take(self, process: Process) -> None:
        self.owner, self.waiting = process, True
        process.pipe.send("wait")

    def send(self, type: str, named: bool) -> None:
        run = self.run
        assert run is not None
        self.numbers += 1
        n, own = self.numbers, str(self.numbers) if named else None
        run.sent.append((own, type, n))
        more = {} if type == MALFORMED else {"step": n, "error": "said the backend"}
        if type == MALFORMED:
            self.backend.emit(run.job, "training.log", own, n=n, **more)
        else:
            self.backend.emit(run.job, type, own, n=n, **more)

    def listen(self, kind: str) -> tuple[Any, ...]:
        """What the owner says of that kind; its calls before that are noted."""
        assert self.owner is not None
        while (said := self.owner.hear())[0] != kind:
            assert said[0] == "call", said
            self.heard(said)
        return said

    def heard(self, said: tuple[Any, ...]) -> None:
        if said[0] != "call":
            return
        assert self.run is not None
        assert self.owner is not None
        _, consumer, callback, n, attempt = said
        self.run.calls[consumer].append((self.owner.number, callback, n, attempt))

    def check(self) -> None:
        assert len(self.backend.jobs) == len(self.runs)
        assert self.run is not None
        self.run.check_calls()

    def check_log(self, run: Run) -> None:
        """Every event once, in its order; and the chain of digests."""
        journal = Journal(journal_path(self.home))
        run_id, digest, events = journal.resolve(run.job), GENESIS, []
        for seq, r in enumerate(journal.records(run_id), 1):
            assert (r.seq, r.prev_digest) == (seq, digest)
            form = canonical(run_id, seq, r.source, r.type, r.sse_id, r.recorded_at, r.data)
            digest = digest_of(digest, form)
            assert r.digest == digest
            if r.source == "stream":
                events.append((r.sse_id, r.data))
        journal.close()
        sent = [(own, f'"n": {n}') for own, _, n in run.sent]
        assert [own for own, _ in events] == [own for own, _ in sent]
        assert all(mark in data for (_, data), (_, mark) in zip(events, sent, strict=True))


@pytest.mark.timeout(0 if EXAMPLES > 20 else 120)
def test_no_mixture_of_troubles_breaks_a_promise() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Weather,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking takes its time with processes
            suppress_health_check=list(HealthCheck),
        ),
    )
