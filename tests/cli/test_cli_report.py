"""`arkor report` and `arkor diff`: files written, differences said, sentences where it fails."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.core.notes import SubmitRequested, entry_of
from arkor.core.record import Entry
from arkor.store.owner import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import open_writer

Arkor = Callable[..., CompletedProcess[str]]


def write_run(home: Path, name: str, rate: float, loss: float = 0.5, **config: Any) -> str:
    """A run of ten steps in the journal."""
    row = NewRun(
        name=name, project_root="/r", org_slug="o", project_slug="p", fingerprint="f", status="x"
    )
    wish = SubmitRequested(
        name,
        {"model": "m", "learningRate": rate, **config},
        "f",
        "k",
        "u",
        "o",
        "p",
        "/r",
        ("main",),
    )
    events = [{"type": "training.log", "step": step, "loss": loss / step} for step in range(1, 11)]
    entries = [Entry("stream", "training.log", json.dumps(each)) for each in events]
    home.mkdir(mode=0o700, exist_ok=True)
    with open_writer(home).transaction(durable=True) as tx:
        return tx.create_run(row, [entry_of(wish), *entries], current_owner()).run_id


def test_a_report_is_written_where_it_is_wanted(here: Arkor, home: Path, folder: Path) -> None:
    run = write_run(home, "alpha", 0.1)
    done = here("report", "@last", "-o", "page.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "page.html\n", "")
    page = folder / "page.html"
    assert page.stat().st_mode & 0o777 == 0o600
    assert "alpha" in page.read_text()
    assert here("report", run).stdout == f"arkor-report-{run}.html\n"
    assert sorted(each.name for each in folder.iterdir()) == [f"arkor-report-{run}.html", page.name]


def test_two_runs_make_one_page(here: Arkor, home: Path, folder: Path) -> None:
    a, b = write_run(home, "alpha", 0.1), write_run(home, "beta", 0.2)
    assert here("report", a, b, "-o", "both.html").returncode == 0
    assert "Two training runs compared" in (folder / "both.html").read_text()


def test_differences_are_said(here: Arkor, home: Path) -> None:
    a = write_run(home, "alpha", 0.1, only=[1])
    b = write_run(home, "beta", 0.2, loss=0.7)
    done = here("diff", a, b)
    assert done.returncode == 0, done.stderr
    assert ["learningRate", "0.1", "0.2"] in [line.split() for line in done.stdout.splitlines()]

    said = json.loads(here("diff", a, b, "--json").stdout)
    assert not said["same"]
    assert said["a"]["runId"] == a
    assert said["config"] == [
        {"path": "learningRate", "change": "changed", "a": 0.1, "b": 0.2},
        {"path": "only[0]", "change": "only in a", "a": 1},
    ]
    (loss,) = said["metrics"]
    assert (loss["a"]["first"], loss["b"]["least"], loss["b"]["leastStep"]) == (0.5, 0.7 / 10, 10)


def test_a_difference_is_an_exit_code_only_if_asked(here: Arkor, home: Path) -> None:
    a, b = write_run(home, "alpha", 0.1), write_run(home, "beta", 0.2)
    c = write_run(home, "gamma", 0.1)
    assert here("diff", a, b).returncode == 0
    assert here("diff", a, b, "--exit-code").returncode == 1
    done = here("diff", a, c, "--exit-code")
    assert done.returncode == 0
    assert "nothing but their ids" in done.stderr


def test_a_comparison_comes_with_its_page(here: Arkor, home: Path, folder: Path) -> None:
    a, b = write_run(home, "alpha", 0.1), write_run(home, "beta", 0.2)
    done = here("diff", a, b, "--json", "--report", "both.html")
    assert not json.loads(done.stdout)["same"]
    assert done.stderr == "both.html\n"
    assert (folder / "both.html").exists()


def test_an_unknown_run_is_a_sentence(here: Arkor, home: Path, folder: Path) -> None:
    write_run(home, "alpha", 0.1)
    done = here("report", "nope")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no run or job has the id 'nope'")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("module", ["jinja2", "plotly.offline"])
def test_without_the_extra_it_is_named(
    here: Arkor, home: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    from arkor.runner import report

    write_run(home, "alpha", 0.1)
    report._environment.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    done = here("report", "@last")
    assert done.returncode == 2
    assert "pip install 'arkor[report]'" in done.stderr
    assert here("diff", "@last", "@last").returncode == 0


def test_without_a_browser_a_sentence_says_what_helps(
    arkor: Arkor, home: Path, folder: Path
) -> None:
    write_run(home, "alpha", 0.1)
    done = arkor("report", "@last", "-o", "page.html", "--png", "chart.png", PATH="/nowhere")
    assert done.returncode == 4
    assert "apt-get install chromium" in done.stderr
    assert (folder / "page.html").exists()


def test_the_chart_is_a_picture(here: Arkor, home: Path, folder: Path, need: Any) -> None:
    from arkor.runner.report_image import find_browser

    need(find_browser(), "Chromium or Chrome: apt-get install chromium")
    write_run(home, "alpha", 0.1)
    done = here("report", "@last", "-o", "page.html", "--png", "chart.png")
    assert (done.returncode, done.stdout) == (0, "page.html\nchart.png\n"), done.stderr
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_log_that_was_edited_has_a_page_that_says_so(
    here: Arkor, home: Path, folder: Path
) -> None:
    run = write_run(home, "alpha", 0.1)
    with closing(sqlite3.connect(home / "arkor.db", isolation_level=None)) as file:
        file.execute("UPDATE records SET data = ? WHERE seq = 5", ('{"type":"training.log"}',))
    done = here("report", run, "-o", "page.html")
    assert done.returncode == 0
    assert f"run {run} is not as it was recorded" in done.stderr
    assert "At record 5" in (folder / "page.html").read_text()


def test_a_log_that_cannot_be_read_to_its_end_is_no_good_answer(
    here: Arkor, home: Path, folder: Path
) -> None:
    run, other = write_run(home, "alpha", 0.1), write_run(home, "alpha", 0.1)
    with closing(sqlite3.connect(home / "arkor.db", isolation_level=None)) as file:
        file.execute(
            "UPDATE records SET data = CAST(x'ff' AS TEXT) WHERE seq = 8 "
            "AND run = (SELECT id FROM runs WHERE run_id = ?)",
            (run,),
        )
    done = here("report", run, "-o", "page.html")
    assert (done.returncode, done.stdout) == (1, "page.html\n"), done.stderr
    assert "behind its record 7 cannot be read" in done.stderr
    assert "This page ends with record 7" in (folder / "page.html").read_text()
    compared = here("diff", run, other)
    assert compared.returncode == 1
    assert "they differ in nothing" not in compared.stderr
    assert "alpha" in compared.stdout.split("name")[1]
