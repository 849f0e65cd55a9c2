"""Following a run from the command line to its end, and saying how that went."""

import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor.cli.actions import Outcome, tell_actions
from arkor.cli.door import Exit, sentence
from arkor.cli.interrupt import Interrupted, run_interruptibly
from arkor.cli.place import store_home
from arkor.cli.progress import Progress
from arkor.cli.render import note, relative, show
from arkor.core.wire import Job
from arkor.runner.notify import Service
from arkor.runner.pace import Pace

if TYPE_CHECKING:
    from arkor.runner.trainer import Trainer, TrainingResult

__all__ = ["Following", "say_end"]

ENDED: Final = {"completed": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}
"""The exit code of each end."""


class Following:
    """A run that is followed from here: `take` gives its trainer.

    `run_id` is the run's, if it has one already; `home` the store's folder.
    """

    def __init__(
        self,
        take: Callable[[], Awaitable["Trainer"]],
        *,
        run_id: str | None = None,
        home: Path | None = None,
    ) -> None:
        self._take = take
        self._trainer: Trainer | None = None
        self._run_id = run_id
        self._home = home or store_home()
        self._progress: Progress | None = None

    def run(self, *, detach: bool = False) -> int:
        """Follow it, or only start it; return the exit code."""
        try:
            return run_interruptibly(self._follow(detach))
        except Interrupted as interrupted:
            note(f"interrupted: {self._fate()}")
            self._tell("interrupted", ended=False)
            return 128 + interrupted.signum
        except Exception as error:  # that there is no job or no account, too
            self._tell(sentence(error), ended=False)
            raise

    async def _follow(self, detach: bool) -> int:
        with Service(self._state) as service:
            return await self._go(service, detach)

    async def _go(self, service: Service, detach: bool) -> int:
        trainer = self._trainer = await self._take()
        started = await trainer.start()
        service.ready()
        show(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}", at_once=True)
        if detach:
            note(f"detached: {self._fate()}")
            return Exit.OK
        with Progress(self._home, started.run_id, quiet=_has_bar(trainer)) as progress:
            self._progress = progress
            outcome = await _wait(trainer)
        if isinstance(outcome, Exception):
            return self._unfinished(outcome, in_callback=progress.failed is not None)
        code = say_end(outcome.job)
        self._tell("" if outcome.succeeded else outcome.job.error or outcome.status)
        return code

    def _state(self) -> str:
        """How it stands, in a line for the service manager."""
        return str(self._progress.pace if self._progress else "") or "starting"

    def _unfinished(self, error: Exception, *, in_callback: bool) -> int:
        """Report why no end was reached. What is neither ours nor a callback's is a bug."""
        if not in_callback:
            note(self._fate())
            raise error
        raised = f"a callback raised {type(error).__name__}: {error} ({_place(error)})"
        note(f"error: {raised}")
        note(self._fate())
        self._tell(raised, ended=False)
        return Exit.CALLBACK

    def _tell(self, problem: str, *, ended: bool = True) -> None:
        """Show in a workflow of GitHub's how it went."""
        from arkor.store.paths import journal_path

        trainer = self._trainer
        job = trainer.job if trainer else None
        run_id = (trainer and trainer.run_id) or self._run_id
        ended = ended or (job is not None and job.terminal)
        pace = self._progress.pace if self._progress else Pace()
        journal = journal_path(self._home)
        tell_actions(Outcome(run_id, job, pace, journal, problem, ended))

    def _fate(self) -> str:
        """What has become of the run, and what can be done."""
        trainer = self._trainer
        job = trainer.job if trainer else None
        run_id = (trainer and trainer.run_id) or self._run_id
        if run_id is None:
            return "nothing has been submitted"
        resume = f"`arkor resume {run_id}`"
        if job is None:
            return f"the backend has not been seen to accept run {run_id}; {resume} goes on with it"
        if job.terminal:
            return f"job {job.id} has ended: {job.status}; {resume} makes the calls still owed"
        return (
            f"job {job.id} goes on at the backend and may use its GPU; `arkor watch {run_id}` "
            f"looks at it, {resume} follows it to its end, `arkor cancel {run_id}` stops it"
        )


async def _wait(trainer: "Trainer") -> "TrainingResult | Exception":
    try:
        return await trainer.wait()
    except Exception as error:  # reported when the progress has left the terminal
        return error


def say_end(job: Job) -> int:
    """Say how a job ended; the exit code that this is."""
    show(f"Job {job.id} finished with status={job.status}")
    if job.error:
        note(f"error: {job.error}")
    return ENDED.get(job.status, Exit.UNFINISHED)


def _has_bar(trainer: "Trainer") -> bool:
    """Whether the trainer shows its own progress: a terminal has no room for two bars of one run."""
    from arkor.runner.progress_bar import ProgressBar

    given = (each for consumer in trainer.consumers for each in consumer.functions.values())
    return any(isinstance(getattr(each, "__self__", None), ProgressBar) for each in given)


def _place(error: Exception) -> str:
    """Where it was raised: the innermost line of the project itself, else of anything."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    frame = (ours or frames)[-1]
    return f"{relative(Path(frame.filename))}:{frame.lineno}"
