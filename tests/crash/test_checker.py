"""The judge itself: it finds what somebody puts wrong, whatever that is."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scene import Scene, scene, story

RECORD = "SELECT max(seq) FROM records JOIN kinds ON kinds.id = kind WHERE type = '{}'"
LOG, RECEIPT = RECORD.format("training.log"), RECORD.format("arkor.callback.completed")
STEP = RECORD.format("arkor.step.completed")
COPY = "INSERT INTO records SELECT run, (SELECT max(seq) + 1 FROM records), {} FROM records"
COLUMNS = "kind, sse_id, data, recorded_at, digest"
IN_THE_JOURNAL = {
    "broken_records": f"UPDATE records SET data = data || ' ' WHERE seq = ({RECEIPT})",
    "lost": f"DELETE FROM records WHERE seq = ({LOG})",
    "out_of_order": f"UPDATE records SET seq = 10000 WHERE seq = ({LOG})",
    "duplicated": f"{COPY.format(COLUMNS)} WHERE seq = ({LOG})",
    "receipts_lost": f"DELETE FROM records WHERE seq = ({RECEIPT} AND data LIKE '%:\"plain\"%')",
    "receipts_doubled": f"{COPY.format(COLUMNS)} WHERE seq = ({RECEIPT})",
    "effects_lost": f"DELETE FROM records WHERE seq = ({STEP})",
    "effect_records_doubled": f"{COPY.format(COLUMNS)} WHERE seq = ({STEP})",
    "unsettled": "UPDATE runs SET settled = 0",
    "second_runs": "INSERT INTO runs SELECT id + 1, 'R', name, job_id, project_root, org_slug, "
    "project_slug, fingerprint, 'other', created_at, status, settled, NULL FROM runs",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("judged") / "scene", story(12)) as here:
        assert here.finish().wrong() == {}
        yield here


@pytest.fixture
def copied(undisturbed: Scene, tmp_path: Path) -> Scene:
    shutil.copytree(undisturbed.folder, tmp_path / "scene")
    return replace(undisturbed, folder=tmp_path / "scene")


@pytest.mark.parametrize("figure", IN_THE_JOURNAL)
def test_what_is_wrong_in_the_journal_is_found(copied: Scene, figure: str) -> None:
    copied.ask(IN_THE_JOURNAL[figure])
    assert copied.judge().wrong()[figure] > 0


def is_call(line: dict[str, Any]) -> bool:
    return line.get("call", {}).get("consumer") == "plain"


def test_what_is_wrong_with_the_calls_is_found(copied: Scene) -> None:
    lines = copied.lines()
    calls = [n for n, line in enumerate(lines) if is_call(line)]
    effects = [n for n, line in enumerate(lines) if "effect" in line]

    def found(*changed: dict[str, Any]) -> set[str]:
        copied.told.write_text("".join(json.dumps(line) + "\n" for line in changed))
        return set(copied.judge().wrong())

    assert found(*lines) == set()
    third, fifth = calls[2], calls[4]
    assert "calls_lost" in found(*lines[:third], *lines[third + 1 :])
    assert "calls_out_of_order" in found(*lines[: third + 1], *lines[third:])
    swapped = [*lines]
    swapped[third], swapped[fifth] = swapped[fifth], swapped[third]
    assert "calls_out_of_order" in found(*swapped)
    stranger = {**lines[third], "pid": -1}
    assert found(*lines[: third + 1], stranger, *lines[third + 1 :]) >= {
        "calls_beside_the_owner",
        "repeats_unsaid",
    }
    assert "effects_repeated_by_one_process" in found(*lines, *[lines[effects[0]]] * 2)
    assert "effects_lost" in found(*lines, {**lines[effects[0]], "effect": "another key"})
    state = next(n for n, line in enumerate(lines) if "state" in line)
    assert "wrong_states" in found(
        *lines[:state], {**lines[state], "state": ""}, *lines[state + 1 :]
    )
    assert "receipts_of_others" in found(*(
        {**line, "attempt": 2} if is_call(line) else line for line in lines
    ))  # fmt: skip


def test_a_second_job_is_found(copied: Scene) -> None:
    copied.backend.jobs["job-2"] = copied.backend.jobs["job-1"]
    try:
        assert copied.judge().wrong() == {"second_jobs": 1}
    finally:
        del copied.backend.jobs["job-2"]
