"""Following a run from the command line to its end, and saying how that went."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor.cli.door import Exit
from arkor.cli.interrupt import Interrupted, run_interruptibly
from arkor.cli.place import store_home
from arkor.cli.progress import Progress
from arkor.cli.render import note, relative, show

if TYPE_CHECKING:
    from arkor.runner.trainer import Trainer, TrainingResult

__all__ = ["Following"]

ENDED: Final = {"completed": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}
"""The exit code of each end."""


@dataclass(frozen=True, slots=True)
class Following:
    """A run that is followed from here; `new` if it was not to be an earlier one."""

    trainer: "Trainer"
    new: bool

    def run(self, detach: bool) -> int:
        """Follow it, or only start it; return the exit code."""
        try:
            return run_interruptibly(self._follow(detach))
        except Interrupted as interrupted:
            note(f"interrupted: {self._fate()}")
            return 128 + interrupted.signum

    async def _follow(self, detach: bool) -> int:
        started = await self.trainer.start()
        show(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}", at_once=True)
        if detach:
            note(f"detached: {self._fate()}")
            return Exit.OK
        with Progress(store_home(), started.run_id) as progress:
            outcome = await self._wait()
        if isinstance(outcome, Exception):
            return self._unfinished(outcome, in_callback=progress.failed is not None)
        show(f"Job {started.job_id} finished with status={outcome.status}")
        if outcome.job.error:
            note(f"error: {outcome.job.error}")
        return ENDED.get(outcome.status, Exit.UNFINISHED)

    async def _wait(self) -> "TrainingResult | Exception":
        try:
            return await self.trainer.wait()
        except Exception as error:  # reported when the progress has left the terminal
            return error

    def _unfinished(self, error: Exception, *, in_callback: bool) -> int:
        """Report why no end was reached. What is neither ours nor a callback's is a bug."""
        if not in_callback:
            note(self._fate())
            raise error
        name = type(error).__name__
        note(f"error: a callback raised {name}: {error} ({_place(error)})")
        note(self._fate(raised=True))
        return Exit.CALLBACK

    def _fate(self, *, raised: bool = False) -> str:
        """What has become of the run, and what can be done; `raised` if a callback did."""
        job, run_id = self.trainer.job, self.trainer.run_id
        again = "the same command without --new" if self.new else "the same command again"
        if job is None:
            return f"the backend has not accepted the run yet; {again} goes on with it"
        if job.terminal and raised:
            # A broken callback must not keep the next training from being submitted.
            owed = f"stays in the journal (`arkor show {run_id}`)"
            return f"job {job.id} has ended: {job.status}; what its callbacks are owed {owed}"
        if job.terminal:
            return f"job {job.id} has ended: {job.status}; {again} makes the calls still owed"
        return (
            f"job {job.id} goes on at the backend and may use its GPU; {again} follows it to its "
            f"end, `arkor cancel {run_id}` stops it"
        )


def _place(error: Exception) -> str:
    """Where it was raised: the innermost line of the project itself, else of anything."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    frame = (ours or frames)[-1]
    return f"{relative(Path(frame.filename))}:{frame.lineno}"
