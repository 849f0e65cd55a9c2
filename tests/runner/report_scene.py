"""A run with everything a report tells of, and a reader of the page about it."""

import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from arkor.runner.report import RunReport, gather
from arkor.store.journal import Journal, open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Cut, Verbatim

LOGS = 30


class Probe:
    """A callback set that remembers an effect, and raises once."""

    def __init__(self) -> None:
        self.raised = False

    async def on_checkpoint(self, ctx: Any) -> None:
        await ctx.once("mark", lambda: {"at": ctx.step})
        if not self.raised:
            self.raised = True
            raise RuntimeError("the hook is <b>down</b>")

    def on_log(self, ctx: Any) -> None:
        pass


def happenings() -> list[Any]:
    """Logs, checkpoints, a cut connection, a skipped id, an event that is none."""
    made: list[Any] = [{"type": "training.started"}]
    for step in range(1, LOGS + 1):
        figures: dict[str, Any] = {"loss": 3 / step, "learningRate": 1e-3 / step}
        if step % 10 == 0:
            figures["evalLoss"] = 3.5 / step
        made.append({"type": "training.log", "step": step, "samplesPerSecond": 20.0, **figures})
        if step % 10 == 0:
            made.append({"type": "checkpoint.saved", "step": step, "artifacts": [{}]})
        if step == 15:
            made.append(Cut())
    made.append(Verbatim("training.log", "{no json", "900"))
    made.append(Verbatim("training.completed", '{"type": "training.completed"}', "905"))
    return made


def record(make: Any, name: str = "a run", **given: Any) -> str:
    """Run it to its end, over the callback that raises; the run's id."""
    with ScriptedBackend(happenings()) as backend:
        trainer = make(backend, Probe(), name=name, **given)
        try:
            trainer.wait_sync()
        except RuntimeError:
            trainer.wait_sync()
        return str(trainer.run_id)


def read(run_id: str, label: str = "") -> RunReport:
    """What the page says about the run."""
    return gather(journal(), run_id, label)


def journal() -> Journal:
    """The journal of the test's home."""
    return open_journal(Path(os.environ["ARKOR_HOME"]))


class Page(HTMLParser):
    """A page taken apart: its tags in order, its text, what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.css: list[str] = []
        self.words: list[str] = []
        self.json: list[str] = []
        self.policy = ""
        self._inside = ""
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """What is read on the page."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [str(given[key]) for key in ("src", "href", "action", "data") if key in given]
        self.handlers += [key for key in given if key.startswith("on")]
        self.css += [str(given["style"])] if "style" in given else []
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(given["content"])
        self._inside = tag if given.get("type") != "application/json" else "json"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        match self._inside:
            case "style":
                self.css.append(data)
            case "json":
                self.json.append(data)
            case "script":
                pass
            case _:
                self.words.append(data)
