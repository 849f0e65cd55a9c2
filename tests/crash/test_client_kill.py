"""kill -9 of a client at named points, then the same script again: one job, nothing lost."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from arkor.core.record import GENESIS, Record, canonical, digest_of
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend

CHILD = Path(__file__).with_name("child.py")
EVENTS: list[dict[str, Any]] = [
    {"type": "training.started"},
    *({"type": "training.log", "step": step, "loss": 1 / step} for step in range(1, 9)),
    {"type": "checkpoint.saved", "step": 8},
    {"type": "training.completed", "artifacts": [{"pathname": "adapter"}]},
]
POINTS = {
    "before the wish": ("call:own", 1),
    "after the wish, before the request": ("call:CloudApiClient.create_job", 1),
    "after the request was answered, before that is recorded": ("call:Job.to_wire", 1),
    "after the submission": ("return:Submission.ensure", 1),
    "after an append, before its callback": ("call:BoundCallbacks.call", 3),
    "in a callback": ("call:main.<locals>.note", 4),
    "after a callback, before its receipt": ("return:BoundCallbacks.call", 4),
    "after a receipt": ("return:OwnedRun.append", 9),
    "in the commit of a receipt": ("call:Transaction._insert", 7),
    "before the last callback": ("call:BoundCallbacks.call", 10),
    "after the last callback, before its receipt": ("return:BoundCallbacks.call", 10),
}


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def run(project: Path, url: str, *point: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), url, str(project / "calls"), *map(str, point)]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=60, check=False
    )


CASES = [(point, True) for point in POINTS] + [(point, False) for point in list(POINTS)[:3]]


@pytest.mark.parametrize(("point", "idempotency"), CASES)
def test_a_killed_client_is_made_good_by_the_next(
    project: Path, point: str, idempotency: bool
) -> None:
    with ScriptedBackend(EVENTS, idempotency=idempotency) as backend:
        killed = run(project, backend.url, *POINTS[point])
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        again = run(project, backend.url)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["status"] == "completed"
        assert len(backend.jobs) == 1
    check_log(list(open_journal().records(open_journal().resolve("@last"))))
    check_calls([json.loads(line) for line in (project / "calls").read_text().splitlines()])
    assert open_journal().run("@last").settled
    assert len(open_journal().runs()) == 1


def check_log(records: list[Record]) -> None:
    """Every event once and in order, no gap in the log, and a chain that holds."""
    events = [json.loads(each.data) for each in records if each.source == "stream"]
    assert [(e["type"], e.get("step")) for e in events] == [
        (e["type"], e.get("step")) for e in EVENTS
    ]
    assert [each.seq for each in records] == list(range(1, len(records) + 1))
    previous = GENESIS
    for each in records:
        form = canonical(
            each.run_id, each.seq, each.source, each.type, each.sse_id, each.recorded_at, each.data
        )
        previous = digest_of(previous, form)
        assert each.digest == previous


def check_calls(calls: list[dict[str, Any]]) -> None:
    """Each call was made, in order; at most the one under way was made again, and said so."""
    counts = Counter(call["seq"] for call in calls)
    assert len(counts) == 10
    assert sorted(counts) == list(dict.fromkeys(call["seq"] for call in calls))
    repeated = [seq for seq, count in counts.items() if count > 1]
    assert len(repeated) <= 1
    assert all(counts[seq] == 2 for seq in repeated)
    for seq in repeated:
        assert [call["attempt"] for call in calls if call["seq"] == seq] == [1, 2]
