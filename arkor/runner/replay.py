"""Today's callbacks over a recorded run: offline, and in CI before a change goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arkor.core.calls import event_of, is_for_nobody, owed
from arkor.core.fold import Folding
from arkor.core.notes import CallbackCompleted, StepCompleted
from arkor.core.record import Record
from arkor.core.state import INITIAL, RunState
from arkor.core.steps import CallId, Step, attempts_in, steps_in
from arkor.errors import NonDeterminismError
from arkor.runner.callbacks import BoundCallbacks, CallbackSet, bind
from arkor.runner.contexts import context_for
from arkor.runner.effects import Call, Divergence
from arkor.runner.options import TrainerOptions
from arkor.runner.replayed import ReplayedCall, ReplayedCalls
from arkor.runner.session import home_of
from arkor.store.journal import Journal, open_journal

__all__ = ["ReplayReport", "ReplayedCall", "replay"]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay did: `calls` in order, and where they were not what the log says."""

    run_id: str
    calls: Sequence[ReplayedCall]
    divergences: tuple[Divergence, ...]

    @property
    def ok(self) -> bool:
        """Whether every call did what was recorded."""
        return not self.divergences


async def replay(
    job_id: str,
    callbacks: CallbackSet | Sequence[CallbackSet],
    *,
    strict: bool = True,
    home: Path | str | None = None,
) -> ReplayReport:
    """Run `callbacks` over the calls that a recorded run finished. Offline; nothing is written.

    `job_id` is a job's or a run's id. Each call is given what it was given then, `once` and
    `infer` their recorded results, and `ctx.replaying` is true. A consumer that the run does
    not know is given every record. With `strict` the first divergence raises
    `NonDeterminismError`; else the report has them all. Raises `JournalError` if there is no
    such run.
    """
    journal = open_journal(home_of(TrainerOptions(home=home)))
    run_id = journal.resolve(job_id)
    driver = _Replay(journal, run_id, bind(callbacks), strict)
    await driver.run()
    return ReplayReport(run_id, driver.calls, tuple(driver.divergences))


class _Replay:
    def __init__(
        self, journal: Journal, run_id: str, consumers: Sequence[BoundCallbacks], strict: bool
    ) -> None:
        self.calls = ReplayedCalls()
        self.divergences: list[Divergence] = []
        self._journal = journal
        self._run_id = run_id
        self._consumers = consumers
        self._strict = strict
        self._end: RunState = journal.fold(run_id)
        self._steps: Mapping[CallId, list[Step]] = (
            steps_in(journal.notes(run_id, StepCompleted.TYPE)) if self._end.has_steps else {}
        )
        self._attempts = attempts_in(journal.notes(run_id, CallbackCompleted.TYPE))

    async def run(self) -> None:
        folding = Folding()
        wanted = frozenset(name for each in self._consumers for name in each.functions)
        for record in self._journal.records(self._run_id):
            passed = is_for_nobody(record, folding.job_id, wanted)
            folding.add(record)
            if not passed:
                await self._deliver(record, folding.outline)
            if folding.terminal:
                return

    async def _deliver(self, record: Record, state: RunState) -> None:
        for consumer in self._consumers:
            for callback in self._finished(consumer, record, state):
                await self._call(consumer, callback, record, state)

    def _finished(
        self, consumer: BoundCallbacks, record: Record, state: RunState
    ) -> tuple[str, ...]:
        """The calls of `consumer` for `record` that the log says were finished."""
        everything = owed(record, state, INITIAL.consumer(consumer.name))
        at_the_end = self._end.consumers.get(consumer.name)
        still = owed(record, state, at_the_end) if at_the_end else ()
        return tuple(c for c in everything if c not in still and c in consumer.functions)

    async def _call(
        self, consumer: BoundCallbacks, callback: str, record: Record, state: RunState
    ) -> None:
        made = (record.seq, consumer.name, callback)
        call = Call(self._run_id, made, self._steps.get(made, ()), strict=True)
        context = context_for(
            callback,
            record=record,
            event=event_of(record, state),
            state=state,
            attempt=self._attempts.get(made, 1),
            replaying=True,
            call=call,
            session=None,
            cancel=_never,
        )
        try:
            await consumer.call(callback, context)
            await call.finish()
        except NonDeterminismError:
            await call.abandon()
            if self._strict:
                raise
        except Exception as error:
            await call.abandon()
            call.divergences.append(_raised(made, error))
            if self._strict:
                raise
        if self._strict and call.divergences:
            # The callback caught what the step raised; it is a divergence all the same.
            raise _error(self._run_id, call.divergences[0])
        self.divergences.extend(call.divergences)
        steps = tuple(str(step) for step in call.taken)
        self.calls.append(ReplayedCall(record.seq, consumer.name, callback, steps))


async def _never(reason: str | None) -> None:
    raise AssertionError("an offline replay recalls, and never asks")


def _raised(made: CallId, error: Exception) -> Divergence:
    seq, consumer, callback = made
    said = f"{callback} to raise {type(error).__name__}: {error}"
    return Divergence(seq, consumer, f"{callback} to finish", said)


def _error(run_id: str, divergence: Divergence) -> NonDeterminismError:
    return NonDeterminismError(
        f"the callback does not do what run {run_id} recorded: {divergence}",
        seq=divergence.seq,
        consumer=divergence.consumer,
        expected=divergence.expected,
        actual=divergence.actual,
    )
