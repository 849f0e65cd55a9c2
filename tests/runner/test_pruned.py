"""A pruned run's key stays taken: nothing is paid for twice because its log is gone."""

from pathlib import Path

import pytest
from scripted import COMPLETED, STARTED, trainer

from arkor.errors import RunPrunedError
from arkor.runner.retention import prune
from arkor.runner.sync import run_blocking
from arkor.runner.takeover import attach_sync, resume_run
from arkor.store.importing import import_run
from arkor.store.journal import open_journal
from arkor.store.writer import open_writer
from arkor.testing.backend import ScriptedBackend


def test_a_pruned_run_is_not_submitted_again(project: Path, tmp_path: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        first = trainer(backend, run_key="nightly")
        assert first.wait_sync().succeeded
        (row,) = open_journal().runs()
        verdict = prune(open_writer(), open_journal(), row, tmp_path)
        assert verdict.tombstone is not None, verdict.problem
        with pytest.raises(RunPrunedError, match="arkor import") as caught:
            trainer(backend, run_key="nightly").start_sync()
        with pytest.raises(RunPrunedError):
            attach_sync(str(first.job_id), options=first.plan.options)
        with pytest.raises(RunPrunedError):
            run_blocking(lambda: resume_run(row.run_id, options=first.plan.options))
        assert len(backend.jobs) == 1
        with Path(str(caught.value.archive)).open("rb") as archive:
            import_run(open_writer(), archive, "archive")
        again = trainer(backend, run_key="nightly").start_sync()
        assert (again.job_id, again.resumed, len(backend.jobs)) == (first.job_id, True, 1)
        assert trainer(backend, run_key="another").start_sync().job_id != first.job_id
