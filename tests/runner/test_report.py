"""The report of a run: complete, harmless whatever the log holds, and loading nothing."""

import json
import os
import re
import subprocess
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from report_scene import LOGS, Page, read, record
from scripted import trainer

from arkor.core.notes import (
    CallbackCompleted,
    CallbackFailed,
    Resumed,
    StepCompleted,
    StreamClosed,
    SubmitRequested,
    Submitted,
    entry_of,
)
from arkor.core.record import GENESIS, Entry, Record, chain
from arkor.core.verify import VerifyReport
from arkor.runner.charts import Curves, figure
from arkor.runner.report import RunReport, json_for_script, render
from arkor.runner.report_image import draw, find_browser
from arkor.runner.timeline import read_timeline

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = "2026-11-24T10:00:00.000000Z"
BROWSER = "Chromium or Chrome: apt-get install chromium"
MARKUP = [
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "</style><img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "' onmouseover='document.title=1",
    "<!--",
    "]]>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;",
    "<a href='https://example.org'>",
    "\u2028\u2029 \u202egnp.exe\u202c",
    "\x00\x1b[31m\r\n",
    "\ud800 half a pair",
    "javascript:alert(1)",
]


def test_the_page_of_a_real_run_says_everything(project: Path) -> None:
    found = read(record(trainer, name="nightly"))
    page = Page(render([found], now=NOW))
    assert found.verified.ok
    for words in (
        "nightly",
        found.verified.run_id,
        "the chain is intact",
        found.verified.head,
        f"{LOGS} steps",
        "perhaps",  # ids were skipped, and one event was none
        "no event came between the ids",
        "an event that is none: the data is not JSON",
        "reconnects",
        "RuntimeError: the hook is <b>down</b>",
        "3 effects, each done once",
        "3 checkpoints, the last at step 30",
        "on_checkpoint",
        "owner/model",
        "with the digests of their code",
        "2026-11-24 12:00:00.000",
    ):
        assert words in page.text, words
    assert "a-token-of-this-test" not in page.text
    (drawn,) = page.json
    names = [trace["name"] for trace in json.loads(drawn)["data"]]
    assert names[:4] == ["loss", "eval loss", "learning rate", "samples / s"]
    assert {"checkpoint", "reconnected", "gap in the ids", "malformed event"} <= set(names)


def test_two_runs_are_compared_with_their_curves_over_each_other(project: Path) -> None:
    ids = [
        record(trainer, name="first", learning_rate=1e-3),
        record(trainer, name="second", learning_rate=1e-4, resume="never"),
    ]
    runs = [read(each, label) for each, label in zip(ids, "AB", strict=True)]
    page = Page(render(runs, now=NOW))
    assert "Two training runs compared A first and B second" in page.text
    assert "learningRate 0.001 0.0001" in page.text
    names = [trace["name"] for trace in json.loads(page.json[0])["data"]]
    assert {"loss A", "loss B", "eval loss A", "eval loss B"} <= set(names)


def test_a_run_without_anything_has_a_page() -> None:
    report = RunReport(read_timeline([]), VerifyReport(True, "RUN", 0, GENESIS.hex()))
    text = Page(render([report], now=NOW)).text
    assert "No figures are recorded" in text
    assert "Nothing is recorded of who had the run" in text


def test_a_broken_chain_is_the_first_thing_said() -> None:
    verified = VerifyReport(False, "RUN", 3, "ab" * 32, 4, "record 4 was changed")
    text = Page(render([RunReport(read_timeline(log("a run")), verified)], now=NOW)).text
    assert text.index("the chain is broken") < text.index("Metrics")
    assert "At record 4: record 4 was changed" in text


def test_nothing_is_loaded(project: Path) -> None:
    page = Page(render([read(record(trainer))], now=NOW))
    assert page.links == []
    assert page.handlers == []
    assert not {"link", "iframe", "img", "object", "embed", "base", "form"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", " ".join(page.css))
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search(r"https?:|unsafe-eval|\*", page.policy)


def test_tables_have_captions_and_headings(project: Path) -> None:
    html = render([read(record(trainer))], now=NOW)
    tags = Page(html).tags
    assert tags.count("table") == tags.count("caption") == tags.count("thead") > 6
    body = html.partition("<script")[0]
    assert not re.search(r"<th(?! scope=)(?!ead)", body)


@pytest.mark.parametrize("text", MARKUP)
def test_every_text_is_text(text: str) -> None:
    plain = Page(render([report_of(log("x"))], now=NOW))
    hostile = Page(render([report_of(log(text))], now=NOW))
    assert hostile.tags == plain.tags
    assert hostile.links == hostile.handlers == []
    seen = hostile.text
    assert not re.search("[\x00-\x1f\u2028-\u202e\ud800-\udfff]", seen)
    if text.isprintable() and text.isascii():
        assert seen.count(" ".join(text.split())) >= 10


def test_data_in_a_script_cannot_end_it() -> None:
    written = json_for_script(["</script>", "<!--", "\u2028", "\ud800"])
    assert "<" not in written
    assert written.isascii()
    assert json.loads(written) == ["</script>", "<!--", "\u2028", "\ud800"]


def test_no_text_of_a_run_is_in_its_figure() -> None:
    drawn = json.dumps(figure([Curves(read_timeline(log("<b>bold</b>")), "A")]))
    assert "bold" not in drawn


def test_a_long_run_takes_no_more_memory_than_a_short_one() -> None:
    def peak(steps: int) -> int:
        tracemalloc.start()
        try:
            render_size = len(render([report_of(long_log(steps))], now=NOW))
            assert render_size < 7_000_000
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is imported and kept for all pages
    short, long = peak(2_000), peak(6_000)
    assert long < short + 1_000_000


def test_a_browser_draws_it_without_a_complaint(need: Any, tmp_path: Path) -> None:
    need(find_browser(), BROWSER)
    texts = "".join(MARKUP).encode("utf-8", "replace").decode()
    file = tmp_path / "report.html"
    file.write_text(render([report_of(log(texts)), report_of(log("b"))], now=NOW))
    done = subprocess.run(
        [
            str(find_browser()),
            "--headless",
            "--disable-gpu",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    dom = Page(done.stdout)
    assert 'data-drawn="yes"' in done.stdout
    assert done.stdout.count('class="scatterlayer') >= 3
    assert "path" in dom.tags
    assert "<title>owned" not in done.stdout


def test_the_chart_is_drawn_as_a_picture(need: Any) -> None:
    need(find_browser(), BROWSER)
    picture = draw("<!DOCTYPE html><p>chart</p>", height=300)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    size = [int.from_bytes(picture[at : at + 4], "big") for at in (16, 20)]
    assert size == [2400, 600]


def report_of(records: Any) -> RunReport:
    timeline = read_timeline(records)
    head = timeline.state.head.hex()
    return RunReport(timeline, VerifyReport(True, "RUN", timeline.state.records, head))


def log(text: str) -> list[Record]:
    """A log in which `text` stands wherever a text may stand."""
    provenance = {
        "user": text,
        "host": text,
        "git": {"commit": text, "dirty": True},
        "digests": {text: text},
        "packages": {text: text},
        "callbacks": [{"name": text, "functions": {text: {"function": text, "digest": text}}}],
        text: text,
    }
    job = {
        "id": text,
        "orgId": "o",
        "projectId": "p",
        "name": text,
        "status": text,
        "createdAt": text,
        "error": text,
        "config": {text: [text]},
    }
    wish = SubmitRequested(
        text, {text: text}, "f", "K", text, text, text, "/", (text,), None, provenance
    )
    event = {"type": "training.log", "step": 1, "loss": 1.0, "learningRate": 0.1, text: text}
    notes = [
        wish,
        Submitted(job),
        Resumed(2, False, (text,), provenance=provenance),
        StreamClosed(text),
        StepCompleted(text, 3, text, "once", text, text, error={"type": text, "message": text}),
        CallbackFailed(text, 3, text, 1, text),
        CallbackCompleted(text, 3, text),
    ]
    entries = [entry_of(note) for note in notes]
    entries += [
        Entry("stream", "training.log", json.dumps({**event, "step": step, "samplesPerSecond": 2}))
        for step in (1, 2)
    ]
    return chain("RUN", entries, after=0, prev_digest=GENESIS, recorded_at=AT)


def long_log(steps: int) -> Iterator[Record]:
    """The records of a long run, made one by one."""
    first = log("long")
    yield from first
    prev, seq = first[-1].digest, len(first)
    for step in range(steps):
        data = json.dumps({"type": "training.log", "step": step, "loss": step % 97 / 7})
        entries = [
            Entry("stream", "training.log", data, str(step)),
            entry_of(CallbackCompleted("main", seq + 1, "on_log", seconds=0.001)),
            entry_of(StepCompleted("main", seq + 1, "on_log", "once", str(step), "ab")),
        ]
        made = chain("RUN", entries, after=seq, prev_digest=prev, recorded_at=AT)
        yield from made
        prev, seq = made[-1].digest, made[-1].seq
