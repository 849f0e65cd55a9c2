"""Following a run on a real terminal: the live line, Ctrl-C, and what holds without a terminal."""

import contextlib
import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arkor.testing import Answer, Call, Cut, Forever, ScriptedBackend, Until, answer_json

STARTED = {"type": "training.started"}
COMPLETED = {"type": "training.completed", "artifacts": []}
FAILED = {"type": "training.failed", "error": "out | of\n<b>memory</b> 100%"}

ENTRY = """
from arkor import HuggingfaceDataset, TrainerOptions, create_trainer

{before}

trainer = create_trainer(
    name="cli", model="m", dataset=HuggingfaceDataset("d"), max_steps=10,
    options=TrainerOptions(reconnect_delay=0.3), {options}
)
"""


def log(step: int, loss: float) -> dict[str, Any]:
    return {"type": "training.log", "step": step, "loss": loss}


@pytest.fixture
def project(folder: Path) -> Path:
    return write_entry(folder)


def write_entry(folder: Path, options: str = "", before: str = "") -> Path:
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(ENTRY.format(options=options, before=before))
    return folder


class Terminal:
    """A command whose terminal this is; `shown` grows as it is read."""

    def __init__(self, command: list[str], cwd: Path, environ: dict[str, str]) -> None:
        self._main, side = pty.openpty()
        self.shown = ""

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=side,
            stdout=side,
            stderr=side,
            preexec_fn=take_terminal,
        )
        os.close(side)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def read_until(self, pattern: str) -> str:
        """Read on until `pattern` has been shown, or the other side has been closed."""
        with contextlib.suppress(OSError):  # Linux says EIO when it was
            while not re.search(pattern, self.shown):
                self.shown += os.read(self._main, 65536).decode(errors="replace")
        return self.shown

    def end(self) -> int:
        self.read_until(r"(?!x)x")
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture
def on_terminal(environ: dict[str, str], folder: Path) -> Iterator[Callable[..., Terminal]]:
    """Run `arkor ARGUMENTS...` on a terminal of its own."""
    opened: list[Terminal] = []

    def run(*arguments: str, **extra: str) -> Terminal:
        command = [sys.executable, "-m", "arkor", *arguments]
        size = {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        opened.append(Terminal(command, folder, environ | size | extra))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def test_the_line_shows_the_course_of_the_loss(
    on_terminal: Callable[..., Terminal], project: Path
) -> None:
    go_on = threading.Event()
    logs = [log(step, 5.0 - step) for step in range(1, 5)]
    with ScriptedBackend([STARTED, *logs, Until(go_on), COMPLETED]) as backend:
        terminal = on_terminal("start", "--backend", backend.url)
        shown = terminal.read_until("step 4/10  loss 1 .*█▆▃▁")
        assert "█▆▃▁" in shown
        go_on.set()
        assert terminal.end() == 0, terminal.shown
    assert terminal.shown.endswith("Job job-1 finished with status=completed\r\n")


def refuse_until(again: threading.Event, backend: ScriptedBackend) -> None:
    """Answer every stream but the first with 503 until `again` is set."""
    serve, first = backend.stream, [True]

    def stream(request: Any) -> Any:
        return serve(request) if (first and first.pop()) or again.is_set() else Answer(503)

    backend.on("GET", "/v1/jobs/{id}/events/stream", stream)


def test_the_line_says_that_the_stream_is_gone(
    on_terminal: Callable[..., Terminal], project: Path
) -> None:
    again = threading.Event()
    with ScriptedBackend([STARTED, log(1, 4.0), Cut(), COMPLETED]) as backend:
        refuse_until(again, backend)
        terminal = on_terminal("start", "--backend", backend.url)
        shown = terminal.read_until(r"reconnecting to the backend \(attempt \d\): .*step 1/10")
        assert "reconnecting to the backend (attempt" in shown
        again.set()
        assert terminal.end() == 0, terminal.shown


def test_ctrl_c_leaves_the_run_and_says_how_to_go_on(
    on_terminal: Callable[..., Terminal], project: Path
) -> None:
    reached = threading.Event()
    with ScriptedBackend([STARTED, log(5, 0.5), Call(reached.set), Forever()]) as backend:
        terminal = on_terminal("start", "--backend", backend.url)
        assert reached.wait(60)
        terminal.read_until("step 5/10")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
        assert not backend.cancelled.is_set()
    (said,) = [line for line in terminal.shown.splitlines() if "interrupted: " in line]
    for verb in ("watch", "resume", "cancel"):
        assert re.search(rf"`arkor {verb} [0-9A-Z]{{26}}`", said), said
    assert "Traceback" not in terminal.shown
    assert terminal.shown.count("\x1b[?25l") == terminal.shown.count("\x1b[?25h")


def test_ctrl_c_twice_quits_though_a_callback_blocks(
    on_terminal: Callable[..., Terminal], folder: Path
) -> None:
    before = "import time\ndef block(ctx):\n    print('blocking', flush=True)\n    time.sleep(60)"
    write_entry(folder, 'callbacks={"on_log": block}', before)
    with ScriptedBackend([STARTED, log(5, 0.5), Forever()]) as backend:
        terminal = on_terminal("start", "--backend", backend.url)
        terminal.read_until("blocking")
        terminal.type("\x03")
        terminal.read_until("Ctrl-C again quits at once")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
    assert "arkor resume" in terminal.shown


def test_sigterm_ends_it_within_five_seconds_though_a_callback_blocks(
    on_terminal: Callable[..., Terminal], folder: Path
) -> None:
    before = "import time\ndef block(ctx):\n    print('blocking', flush=True)\n    time.sleep(60)"
    write_entry(folder, 'callbacks={"on_log": block}', before)
    with ScriptedBackend([STARTED, log(5, 0.5), Forever()]) as backend:
        terminal = on_terminal("start", "--backend", backend.url)
        terminal.read_until("blocking")
        since = time.monotonic()
        terminal.process.terminate()
        assert terminal.end() == 143, terminal.shown
        assert time.monotonic() - since < 5
    assert "arkor resume" in terminal.shown


@pytest.mark.parametrize("setting", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_plain_terminal_gets_no_colours(
    on_terminal: Callable[..., Terminal], project: Path, setting: dict[str, str]
) -> None:
    with ScriptedBackend([STARTED, log(5, 0.5), COMPLETED]) as backend:
        terminal = on_terminal("start", "--backend", backend.url, **setting)
        assert terminal.end() == 0, terminal.shown
    assert "step 5/10  loss 0.5\r\n" in terminal.shown
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.shown.replace("\x1b[0m", ""))
    if "TERM" in setting:
        assert "\x1b" not in terminal.shown


def test_without_a_terminal_a_line_says_that_the_stream_is_gone(
    environ: dict[str, str], project: Path
) -> None:
    again = threading.Event()
    with ScriptedBackend([STARTED, log(1, 4.0), Cut(), COMPLETED]) as backend:
        refuse_until(again, backend)
        with subprocess.Popen(
            [sys.executable, "-m", "arkor", "start", "--backend", backend.url],
            cwd=project,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("reconnecting to the backend: "):
                    again.set()
    assert process.returncode == 0, lines
    assert again.is_set()
    assert "connected to the backend again\n" in lines
    assert not any("\x1b" in line for line in lines)


def test_github_gets_a_table_and_a_line_for_the_failure(
    arkor: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    file = tmp_path / "summary.md"
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    with ScriptedBackend([STARTED, log(5, 0.5), FAILED]) as backend:
        done = arkor("start", "--backend", backend.url, **actions)
    assert done.returncode == 1
    assert (
        "::error title=Arkor run cli::out | of\\n<b>memory</b> 100%25" in done.stderr.splitlines()
    )
    summary = file.read_text()
    assert summary.startswith("### ❌ cli: failed\n\n| | |\n| --- | --- |\n| run | ")
    assert "| step | 5 of 10 |\n| last loss | 0.5 |" in summary
    problem = "| problem | out &#124; of&#92;n&#60;b&#62;memory&#60;/b&#62; 100&#37; |"
    assert problem in summary
    assert re.search(r"`arkor show [0-9A-Z]{26}`", summary)


@pytest.mark.parametrize("accounts", [True, False])
def test_a_submission_that_fails_has_a_summary_too(
    arkor: Callable[..., Any], project: Path, tmp_path: Path, accounts: bool
) -> None:
    file = tmp_path / "summary.md"
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    with ScriptedBackend([]) as backend:
        route = "/v1/jobs" if accounts else "/v1/auth/anonymous"
        backend.on("POST", route, answer_json({"error": "no more | of it"}, 422))
        done = arkor("start", "--backend", backend.url, **actions)
    assert done.returncode == 4
    assert "::error title=Arkor run " in done.stderr
    summary = file.read_text()
    assert "no more &#124; of it" in summary
    assert ("has not been seen to accept the run" in summary) is accounts
    assert ("This start has submitted nothing" in summary) is not accounts


def test_a_summary_that_cannot_be_written_does_not_end_the_run(
    arkor: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url, GITHUB_STEP_SUMMARY=str(tmp_path))
    assert done.returncode == 0
    assert "GITHUB_STEP_SUMMARY cannot be written" in done.stderr
    assert "::error" not in done.stderr
