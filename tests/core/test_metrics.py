"""The metrics as a series: a row for each `training.log`, and a table of them."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from logs import AT, accepted, event

from arkor.core.fold import fold_all
from arkor.core.frames import BATCH
from arkor.core.metrics import metric_rows
from arkor.core.record import Entry, Record
from arkor.core.state import RunState
from arkor.errors import ConfigError, JournalError


def log(step: Any, **figures: Any) -> Entry:
    return event("training.log", None, step=step, **figures)


def state_of(records: list[Record]) -> RunState:
    return replace(fold_all(records), log=lambda: records)


LOG = accepted(
    log(1, loss=2.5, learningRate=1e-4, epoch=0.1, samplesPerSecond=3),
    event("checkpoint.saved", step=1),
    log(2, evalLoss=2, gradNorm=1.5, loss=True),
    event("training.log", step=3, jobId="job-of-others", loss=1.0),
    Entry("stream", "training.log", "not JSON"),
    log("3"),
    log(2),
    event("training.completed"),
    Entry("stream", "training.log", '{"type":"training.log","step":4,"loss":1e999}'),
)


def test_every_log_event_of_the_job_has_a_row() -> None:
    rows = list(metric_rows(LOG, "job-1"))
    assert [(row.seq, row.step) for row in rows] == [(3, 1), (5, 2), (9, 2), (11, 4)]
    assert {row.recorded_at for row in rows} == {AT}
    first, second = rows[:2]
    assert (first.loss, first.learning_rate, first.epoch) == (2.5, 1e-4, 0.1)
    assert first.samples_per_second == 3
    assert (second.loss, second.eval_loss) == (None, 2)
    assert rows[3].loss == float("inf")


def test_rows_are_streamed() -> None:
    endless = iter(lambda: LOG[2], None)
    rows = metric_rows(endless)
    assert [next(rows).step for _ in range(3)] == [1, 1, 1]


def test_the_table_has_a_column_for_each_figure() -> None:
    table = state_of(LOG).to_arrow()
    assert table.schema.names == [
        "seq",
        "recorded_at",
        "step",
        "epoch",
        "loss",
        "eval_loss",
        "learning_rate",
        "samples_per_second",
    ]
    assert table.column("step").to_pylist() == [1, 2, 2, 4]
    assert table.column("loss").to_pylist() == [2.5, None, None, float("inf")]
    assert table.column("eval_loss").to_pylist() == [None, 2.0, None, None]
    assert table.column("recorded_at").to_pylist()[0] == datetime.fromisoformat(AT)


def test_a_data_frame_is_the_same_table() -> None:
    frame = state_of(LOG).to_pandas()
    assert list(frame["step"]) == [1, 2, 2, 4]
    assert frame["eval_loss"].dropna().tolist() == [2.0]
    assert frame["recorded_at"][0].to_pydatetime() == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_run_without_metrics_has_the_columns_all_the_same() -> None:
    records = accepted()
    assert state_of(records).to_arrow().num_rows == 0
    assert state_of(records).to_pandas().shape == (0, 8)


def test_a_table_ends_with_the_state_that_it_is_of() -> None:
    earlier = replace(fold_all(LOG[:5]), log=lambda: LOG)
    assert earlier.to_arrow().column("step").to_pylist() == [1, 2]


def test_a_table_has_as_many_rows_as_there_are() -> None:
    records = accepted(*(log(n, loss=1 / (n + 1)) for n in range(BATCH + 1)))
    table = state_of(records).to_arrow()
    assert table.column("step").to_pylist() == list(range(BATCH + 1))


def test_a_figure_beyond_its_column_does_no_harm() -> None:
    table = state_of(accepted(log(10**30, loss=10**400, epoch=10**20))).to_arrow()
    assert table.column("step").to_pylist() == [None]
    assert table.column("loss").to_pylist() == [float("inf")]
    assert table.column("epoch").to_pylist() == [1e20]


def test_a_state_of_records_alone_says_where_to_take_it_from() -> None:
    with pytest.raises(JournalError, match=r"Journal\.run"):
        fold_all(LOG).to_arrow()


@pytest.mark.parametrize("module", ["pyarrow", "pandas"])
def test_what_is_not_installed_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"{module}.*arkor\[export\]"):
        state_of(LOG).to_pandas()


def test_a_log_that_is_known_makes_no_state_another() -> None:
    assert state_of(LOG) == fold_all(LOG)
