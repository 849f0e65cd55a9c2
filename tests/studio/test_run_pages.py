"""The pages about runs in a real browser: listed, followed, searched, compared, and harmless."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from run_scene import MARKUP, append, completed, course, running
from studio_app import COMPLETED, log, stream, write_run
from studio_running import Running

from arkor.store.journal import open_journal

DRAWN = "#chart[data-drawn=yes]"


def until(page: Any, condition: str) -> None:
    """Wait until the page says so. Not `wait_for_function`, which our policy does not let in."""
    end = time.monotonic() + 15
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def names(page: Any) -> list[str]:
    return [str(each) for each in page.locator("#list .name a").all_text_contents()]


def test_runs_are_searched_filtered_and_sorted(studio: Running, page: Any) -> None:
    for name in ("alpha", "beta", "gamma"):
        write_run(studio.home, name, COMPLETED, status="completed")
    running(studio.home, "beta two")
    page.goto("/runs")
    assert names(page) == ["beta two", "gamma", "beta", "alpha"]
    page.get_by_role("searchbox").fill("BETA")
    page.wait_for_url("**/runs?q=BETA")
    until(page, "document.querySelectorAll('#list .name').length === 2")
    assert names(page) == ["beta two", "beta"]
    page.get_by_role("link", name="Running 1").click()
    until(page, "document.querySelectorAll('#list .name').length === 1")
    assert names(page) == ["beta two"]
    page.get_by_role("searchbox").fill("nothing is called so")
    page.get_by_role("heading", name="No matches").wait_for()
    page.goto("/runs?sort=name")
    assert names(page) == ["alpha", "beta", "beta two", "gamma"]


def test_without_a_run_the_list_says_what_to_do(page: Any) -> None:
    page.goto("/runs")
    page.get_by_role("heading", name="No runs yet").wait_for()
    assert page.get_by_text("arkor start").is_visible()


def test_a_new_run_appears_by_itself_and_what_was_chosen_stays(studio: Running, page: Any) -> None:
    completed(studio.home, "first", 10)
    page.clock.install()
    page.goto("/runs")
    page.get_by_label("Choose first").check()
    running(studio.home, "second")
    page.clock.run_for(6_000)
    page.get_by_role("link", name="second").wait_for()
    assert page.get_by_label("Choose first").is_checked()


def test_two_chosen_runs_are_compared(studio: Running, page: Any) -> None:
    completed(studio.home, "colder", 30, 2.0)
    completed(studio.home, "warmer", 40, 3.0)
    page.goto("/runs")
    compare = page.get_by_role("button", name="Compare")
    assert compare.is_disabled()
    page.get_by_label("Choose colder").check()
    page.get_by_label("Choose warmer").check()
    compare.click()
    page.wait_for_selector(DRAWN)
    drawn = page.evaluate("document.getElementById('chart').data.map((trace) => trace.name)")
    assert {"loss A", "loss B", "eval loss A", "eval loss B"} <= set(drawn)
    for words in ("colder", "warmer", "Each metric of both runs", "Differences"):
        assert page.get_by_text(words).first.is_visible(), words


def test_a_run_is_shown_with_everything(studio: Running, page: Any) -> None:
    run_id = completed(studio.home)
    page.goto(f"/runs/{run_id}")
    page.wait_for_selector(DRAWN)
    for words in (
        "120 of 120",
        "The capital is <b>Paris</b>.",
        "no event came between the ids 70 and 72",
        "by process 7 on elsewhere",
        "12 effects, each done once",
        "arkor/tiny",
    ):
        assert page.get_by_text(words).first.is_visible(), words
    assert page.locator("#log tr").last.locator("td").nth(2).text_content() == "training.completed"
    page.get_by_text("Statistics").click()
    page.get_by_role("row", name="learning rate 120").last.wait_for()
    page.get_by_role("button", name="Verify the whole log").click()
    page.get_by_text("Intact: all 166 records").wait_for()


def test_the_chart_has_axes_scales_smoothing_and_a_picture(studio: Running, page: Any) -> None:
    page.goto(f"/runs/{completed(studio.home)}")
    page.wait_for_selector(DRAWN)
    chart = "document.getElementById('chart')"
    page.get_by_role("button", name="Log", exact=True).click()
    until(page, f"{chart}.layout.yaxis.type === 'log'")
    page.get_by_role("button", name="Time").click()
    until(page, f"{chart}.data[0].x[0] === 0")
    before = page.evaluate(f"{chart}.data.length")
    page.get_by_label("Smoothing").fill("0.9")
    until(page, f"{chart}.data.length > {before}")
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG", exact=True).click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    light = page.evaluate(f"{chart}.layout.font.color")
    page.get_by_role("button", name="Use the dark theme").click()
    until(page, f"{chart}.layout.font.color !== '{light}'")


def test_the_page_follows_a_run_to_its_end(studio: Running, page: Any) -> None:
    run_id = running(studio.home)
    page.goto(f"/runs/{run_id}")
    page.wait_for_selector(DRAWN)
    append(studio.home, run_id, log(41))
    page.get_by_text("41 of 40").wait_for()
    until(page, "document.getElementById('chart').data[0].x.at(-1) === 41")
    append(studio.home, run_id, COMPLETED, status="completed", settled=True)
    page.locator("h1 .state.completed").wait_for()
    assert page.get_by_role("button", name="Cancel run").count() == 0
    assert page.locator("#log tr").last.locator("td").nth(2).text_content() == "training.completed"


def test_the_page_goes_on_when_studio_was_started_again(
    studio: Running, page: Any, complaints: Any
) -> None:
    run_id = running(studio.home)
    page.goto(f"/runs/{run_id}")
    page.wait_for_selector(DRAWN)
    studio.stop()
    page.get_by_text("Studio does not answer").wait_for()
    append(studio.home, run_id, log(41))
    studio.start()
    page.get_by_text("41 of 40").wait_for()
    assert not page.get_by_text("Studio does not answer").is_visible()
    # The browser tells of each attempt that failed.
    complaints.said = [said for said in complaints.said if "Failed to load" not in said]


def test_the_whole_log_is_searched_a_page_at_a_time(studio: Running, page: Any) -> None:
    page.goto(f"/runs/{completed(studio.home, steps=200)}")
    said = page.locator("#log-said")
    page.get_by_role("button", name="Older").click()
    until(page, "document.querySelector('#log tr td').textContent !== ''")
    page.get_by_role("button", name="Newest").click()
    page.get_by_label("Search the whole log").fill('"step": 7,')
    page.get_by_text("1 of 1 found").wait_for()
    assert "step=7 " in (page.locator("#log tr").text_content() or "")
    page.get_by_label("Search the whole log").fill("")
    page.get_by_label("Type of record").select_option("arkor.stream.gap")
    page.get_by_text("1 of 1 found").wait_for()
    page.get_by_label("Search the whole log").fill("nowhere in it")
    page.get_by_text("No record is like that.").wait_for()
    assert said.is_visible()


def test_cancel_asks_first_and_says_what_went_wrong(
    studio: Running, page: Any, complaints: Any
) -> None:
    page.goto(f"/runs/{running(studio.home)}")
    page.get_by_role("button", name="Cancel run").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Let it go on").click()
    assert page.locator(".toast").count() == 0
    page.get_by_role("button", name="Cancel run").click()
    dialog.get_by_role("button", name="Cancel run").click()
    # Nobody listens at the run's backend.
    page.locator(".toast.bad").wait_for()
    complaints.said = [said for said in complaints.said if "Failed to load" not in said]


@pytest.mark.parametrize(
    "texts", [MARKUP, "</td><td>'\"&amp;", "\u202egnp.exe", "{{ 7 * 7 }}", "<svg onload=alert(1)>"]
)
def test_every_text_is_text(studio: Running, page: Any, texts: str) -> None:
    events = [
        stream("training.log", step=1, loss=1.0, id="1", note=texts),
        stream("checkpoint.saved", step=1, artifacts=[texts], id="2"),
        stream(texts[:40], id="3"),
        stream("training.failed", error=texts, id="4"),
    ]
    run_id = write_run(studio.home, texts, *events, status="failed")
    other = completed(studio.home, "other", 10)
    for address in ("/runs", f"/runs/{run_id}", f"/runs/compare?run={run_id}&run={other}"):
        page.goto(address)
        page.wait_for_selector("#list" if address == "/runs" else DRAWN)
        assert "owned" not in page.title().removeprefix(texts)
        assert page.locator("main img, main svg[onload], main script").count() == 0
        assert page.evaluate("document.querySelectorAll('[onerror], [onload]').length") == 0


def test_a_run_without_figures_and_one_that_is_not_there(
    studio: Running, page: Any, complaints: Any
) -> None:
    page.goto(f"/runs/{write_run(studio.home, 'quiet', status='queued')}")
    page.get_by_text("The curves appear with the first figures.").wait_for()
    assert page.goto("/runs/01NOSUCHRUN").status == 404
    assert page.goto("/runs/compare?run=a").status == 400
    complaints.said = [said for said in complaints.said if "Failed to load" not in said]


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(studio: Running, page: Any, width: int) -> None:
    run_id, other = completed(studio.home), completed(studio.home, "x" * 300, 20)
    page.set_viewport_size({"width": width, "height": 800})
    for address in ("/runs", f"/runs/{run_id}", f"/runs/compare?run={run_id}&run={other}"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_a_long_log_is_drawn_at_once_and_then_exactly(studio: Running, page: Any) -> None:
    steps = 30_000
    run_id = write_run(studio.home, "long", *course(steps), status="running")
    page.goto(f"/runs/{run_id}")
    page.wait_for_selector(DRAWN)
    page.get_by_role("row", name=f"loss {steps:,}").first.wait_for()
    least = page.evaluate("Math.min(...document.getElementById('chart').data[0].y)")
    journal = open_journal(studio.home)
    logs = (each for each in journal.records(run_id) if each.type == "training.log")
    assert least == min(json.loads(each.data)["loss"] for each in logs)
    journal.close()
