"""`arkor runs`, `show`, `events`, `cancel`: what the journal holds, as text and as JSON."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from cli_runs import stream, write_run

from arkor.core.record import Entry

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run_id(home: Path, folder: Path) -> str:
    return write_run(
        home,
        folder,
        "alpha",
        stream("training.started"),
        stream("training.log", step=5, loss=0.5),
        stream("checkpoint.saved", step=5, artifacts=[]),
        Entry("stream", "training.log", '{"type": "training.log"'),
        stream("training.failed", error="no \x1b[31mmemory\u2028left"),
        status="failed",
    )


def test_runs_of_this_project_are_listed_newest_first(
    here: Arkor, home: Path, folder: Path, tmp_path: Path, run_id: str
) -> None:
    newer = write_run(home, folder, "beta")
    other = write_run(home, tmp_path / "elsewhere", "gamma")

    def listed(*options: str) -> list[Mapping[str, Any]]:
        done = here("runs", "--json", *options)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    assert [row["runId"] for row in listed()] == [newer, run_id]
    assert [row["runId"] for row in listed("--all")] == [other, newer, run_id]
    assert [row["runId"] for row in listed("--status", "failed")] == [run_id]
    assert [row["runId"] for row in listed("--all", "--limit", "1")] == [other]

    table = here("runs").stdout.splitlines()
    assert table[0].split() == ["run", "name", "status", "job", "created", "owner"]
    assert table[1].split()[:4] == [newer, "beta", "running", "job-beta"]
    assert table[2].split()[:4] == [run_id, "alpha", "failed", "job-alpha"]


def test_an_empty_journal_lists_nothing(here: Arkor) -> None:
    done = here("runs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no runs\n")
    assert json.loads(here("runs", "--json").stdout) == []


def test_runs_elsewhere_are_hinted_at(here: Arkor, home: Path, tmp_path: Path) -> None:
    write_run(home, tmp_path / "elsewhere", "gamma")
    assert "--all" in here("runs").stderr


@pytest.mark.parametrize("spell", [str, str.lower, lambda text: text[:20], lambda _: "job-alpha"])
def test_an_id_may_be_shortened(here: Arkor, run_id: str, spell: Callable[[str], str]) -> None:
    done = here("show", spell(run_id), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runId"] == run_id


def test_show_says_what_the_log_adds_up_to(here: Arkor, run_id: str) -> None:
    said = json.loads(here("show", "@last", "--json").stdout)
    assert said["status"] == "failed"
    assert said["checkpoints"] == [5]
    assert said["latest"] == {"step": 5, "loss": 0.5}
    assert said["records"] == 7
    assert said["consumers"] == [{"name": "main", "cursor": 0, "attempt": 1, "failures": 0}]
    assert said["job"]["error"] == "no \x1b[31mmemory\u2028left"

    text = here("show", "@last").stdout
    assert "arkor/tiny" in text
    assert r"no \x1b[31mmemory\u2028left" in text
    assert "\x1b" not in text


def test_events_are_printed_in_order(here: Arkor, run_id: str) -> None:
    lines = [json.loads(line) for line in here("events", run_id, "--json").stdout.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[3]["data"] == {"type": "training.log", "step": 5, "loss": 0.5}
    assert lines[5]["data"] == '{"type": "training.log"'  # what is no JSON stays as it came

    shown = here("events", run_id).stdout.splitlines()
    assert shown[3].split()[0] == "4"
    assert shown[3].endswith("training.log                step 5  loss 0.5")
    assert all("\x1b" not in line for line in shown)


def test_events_can_be_chosen(here: Arkor, run_id: str) -> None:
    def seqs(*options: str) -> list[int]:
        done = here("events", "@last", "--json", *options)
        return [json.loads(line)["seq"] for line in done.stdout.splitlines()]

    assert seqs("--after", "5") == [6, 7]
    assert seqs("--limit", "2") == [1, 2]
    assert seqs("--type", "training.log") == [4, 6]
    assert seqs("--type", "training.log", "--type", "checkpoint.saved", "--limit", "2") == [4, 5]


@pytest.mark.parametrize("command", ["show", "events", "cancel"])
def test_an_unknown_or_ambiguous_id_is_a_no(
    here: Arkor, home: Path, folder: Path, run_id: str, command: str
) -> None:
    unknown = here(command, "nothing")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: ")

    write_run(home, folder, "beta")
    several = here(command, "0")
    assert several.returncode == 1
    assert len(several.stderr.splitlines()) == 1


def test_a_run_that_has_ended_cannot_be_cancelled(here: Arkor, run_id: str) -> None:
    done = here("cancel", run_id)
    assert done.returncode == 1
    assert "ended already: failed" in done.stderr
