"""A recorded run, served again: its events word for word, and its end as it was."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from arkor.core.fold import fold_all
from arkor.core.lines import read_shown
from arkor.core.record import Record
from arkor.core.state import RunState
from arkor.core.wire import Job
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Call, Forever, Verbatim
from arkor.testing.story import Happening

__all__ = ["RecordedBackend", "read_export"]

_ITS_OWN: Final = ("id", "name", "config", "orgId", "projectId", "createdAt")
"""What a job keeps of its submission, whatever run is played."""


class RecordedBackend(ScriptedBackend):
    """A `ScriptedBackend` that can `play` a run which a journal has recorded.

    ::

        with RecordedBackend() as backend:
            backend.play(open_journal().records(run_id))
            backend.events.insert(10, Cut())  # what would have happened if ...
    """

    _job_id: str | None = None

    def play(self, records: Iterable[Record]) -> None:
        """Make this run the one that is streamed, to whoever submits a job from now on.

        The job gets the recorded one's id, and ends as it did: also if no event but an
        `arkor.reconciled` says so. A run that had not ended goes on for ever. Raises
        `ValueError` for records that hold no job.
        """
        kept = list(records)
        state = fold_all(kept)
        if state.job is None:
            raise ValueError("the records hold no job: they are not the whole log of a run")
        self._job_id = state.job.id
        self.events = [*_events_of(kept), *self._end_of(state, state.job)]

    def _end_of(self, state: RunState, job: Job) -> Iterator[Happening]:
        yield Call(partial(self._conclude, job)) if state.terminal else Forever()

    def _conclude(self, recorded: Job) -> None:
        ended = {key: value for key, value in recorded.to_wire().items() if key not in _ITS_OWN}
        self.jobs[recorded.id].update(ended)

    def _new_id(self) -> str:
        return self._job_id or super()._new_id()


def read_export(path: Path | str) -> Iterator[Record]:
    """Read the records that `arkor export RUN` has written to the file at `path`, in JSON lines.

    Those of `arkor events RUN --json` are read as well; they are good for being played and
    folded, not for being verified: the text of an event is made again from its JSON. Raises
    `ValueError` for a line that is no record.
    """
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield read_shown(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number}, is no exported record: {error}"
                ) from error


def _events_of(records: Iterable[Record]) -> Iterator[Verbatim]:
    for record in records:
        # The stream ends when the story does, and not where it once did.
        if record.source == "stream" and record.type != "end":
            yield Verbatim(record.type, record.data, record.sse_id)
