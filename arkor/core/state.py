"""What is known of a run at some record of its log."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Literal

from arkor.core.notes import Attached, SubmitRequested
from arkor.core.record import Record
from arkor.core.wire import Job
from arkor.errors import JournalError

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["INITIAL", "Consumer", "RunOwner", "RunState"]


@dataclass(frozen=True, slots=True)
class Consumer:
    """How far one named callback set has come.

    `cursor` is the last record it has finished. `partial` is a record behind it of which a call
    is finished and another is owed. `failures` counts how often the call that is owed next has
    raised; `doubtful` says that it may have been under way when its process ended.
    """

    name: str
    cursor: int = 0
    partial: tuple[int, str] | None = None
    failures: int = 0
    doubtful: bool = False

    @property
    def attempt(self) -> int:
        """Which try the next call of this consumer is, from 1."""
        return 1 + self.failures + self.doubtful


@dataclass(frozen=True, slots=True)
class RunOwner:
    """The process that has a run: at work on it, keeping it idle, or dead or stalled (orphan)."""

    host: str
    pid: int
    state: Literal["active", "idle", "orphan"]


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything a log says about its run, up to its last record.

    `status` is `submitting` until the backend has accepted the run (or `refused` if it would
    not), then the job's own.
    `records` is the last record's seq. `latest` holds the newest figure of each metric,
    `counts` how many events of each type came, `checkpoints` the last steps saved, 1000 at most.
    `last_event_id` is where the stream goes on, `last_id_seq` the record that carries it, and
    `highest_id` the greatest id that is a number.

    `owner` is no part of the log, and makes no two states differ: the journal knows who has the
    run at the moment, and nobody does once it is settled. Nor does `log`, which reads the records
    again, for series that no state keeps.
    """

    run_id: str = ""
    name: str = ""
    status: str = "submitting"
    job: Job | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Any, ...] = ()
    records: int = 0
    head: bytes = b""
    last_event_id: str | None = None
    last_id_seq: int = 0
    highest_id: int | None = None
    consumers: Mapping[str, Consumer] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    checkpoints: tuple[int, ...] = ()
    latest: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    terminal_seq: int | None = None
    cancel_requested: bool = False
    has_steps: bool = False
    wish: SubmitRequested | Attached | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    owner: RunOwner | None = field(default=None, compare=False)
    log: Callable[[], Iterable[Record]] | None = field(default=None, compare=False, repr=False)

    @property
    def job_id(self) -> str | None:
        """The backend's id of the run, once it has accepted it."""
        return self.job.id if self.job else None

    @property
    def address(self) -> str | None:
        """The backend the run is at, as it was asked for: a URL, or `local`."""
        return self.wish.base_url if self.wish else None

    @property
    def terminal(self) -> bool:
        """Whether the run has ended, whatever its callbacks still owe."""
        return self.terminal_seq is not None

    @property
    def settled(self) -> bool:
        """Whether the run has ended and every consumer of its last owner has finished it."""
        return self.terminal_seq is not None and all(
            self.consumer(name).cursor >= self.terminal_seq for name in self.named
        )

    def consumer(self, name: str) -> Consumer:
        """The consumer of that name; one that has finished nothing if it is new."""
        return self.consumers.get(name) or Consumer(name)

    def to_arrow(self) -> "pyarrow.Table":
        """The metrics as a table, a row for each `training.log` up to this state's last record.

        `seq` (the record's), `recorded_at` (UTC), `step`, `epoch`, `loss`, `eval_loss`,
        `learning_rate` and `samples_per_second`; null where a figure was not reported. Raises
        `ConfigError` without the extra `export`, `JournalError` if the log cannot be read.
        """
        if self.log is None:
            raise JournalError(
                "this state knows no log to read its metrics from; take it from `Journal.run`"
            )
        from arkor.core.frames import metric_table
        from arkor.core.metrics import metric_rows

        records = takewhile(lambda record: record.seq <= self.records, self.log())
        return metric_table(metric_rows(records, self.job_id))

    def to_pandas(self) -> "pandas.DataFrame":
        """The table of `to_arrow` as a data frame. Raises what that does."""
        from arkor.core.extras import import_extra

        import_extra("pandas", extra="export")
        return self.to_arrow().to_pandas()


INITIAL: Final = RunState()
"""The state before the first record."""
