"""`arkor start` against a scripted backend: each end has its exit code, each failure a sentence."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.testing import (
    Answer,
    Call,
    Forever,
    ScriptedBackend,
    ScriptedServer,
    Until,
    answer_json,
)

Arkor = Callable[..., CompletedProcess[str]]

STARTED = {"type": "training.started"}
LOG = {"type": "training.log", "step": 5, "loss": 0.5}
SAVED = {"type": "checkpoint.saved", "step": 5, "artifacts": []}
COMPLETED = {"type": "training.completed", "artifacts": [{"kind": "adapter"}]}
FAILED = {"type": "training.failed", "error": "out of memory"}

ENTRY = """
from arkor import HuggingfaceDataset, create_trainer

{before}

trainer = create_trainer(
    name="cli", model="m", dataset=HuggingfaceDataset("d"), max_steps=10, {options}
)
"""


def write_entry(folder: Path, options: str = "", before: str = "") -> Path:
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(ENTRY.format(options=options, before=before))
    return entry


@pytest.fixture
def project(folder: Path) -> Path:
    write_entry(folder)
    return folder


def lines_of(done: CompletedProcess[str]) -> list[str]:
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("last", "code", "status"), [(COMPLETED, 0, "completed"), (FAILED, 1, "failed")]
)
def test_the_end_of_the_run_is_the_exit_code(
    arkor: Arkor, project: Path, last: dict[str, Any], code: int, status: str
) -> None:
    with ScriptedBackend([STARTED, LOG, SAVED, last]) as backend:
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == code, done.stderr
    assert lines_of(done) == ["Started job job-1", f"Job job-1 finished with status={status}"]
    assert "step 5/10  loss 0.5" in done.stderr
    assert "checkpoint saved at step 5" in done.stderr
    assert ("error: out of memory" in done.stderr) == (status == "failed")
    assert "Traceback" not in done.stderr


def test_on_a_terminal_a_bar_shows_the_progress(environ: dict[str, str], folder: Path) -> None:
    write_entry(folder, 'callbacks={"on_log": lambda ctx: print("called at", ctx.step)}')
    with ScriptedBackend([STARTED, LOG, COMPLETED]) as backend:
        command = [sys.executable, "-m", "arkor", "start", "--backend", backend.url]
        main, terminal = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ | {"TERM": "xterm", "COLUMNS": "100"},
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        shown = read_all(main)
        assert process.wait(60) == 0, shown
    assert "\x1b[?25l" in shown  # the cursor was hidden while the bar was there
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert "called at 5\r\n" in shown
    assert "step 5/10  loss 0.5\r\n" in shown
    assert shown.endswith("Job job-1 finished with status=completed\r\n")


def test_a_bar_of_the_trainers_own_is_the_only_one(arkor: Arkor, folder: Path) -> None:
    before = "from arkor import ProgressBar"
    write_entry(folder, "callbacks=ProgressBar()", before)
    with ScriptedBackend([STARTED, LOG, SAVED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("cli  ") for line in lines), lines
    assert lines.count("cli  checkpoint saved at step 5") == 1
    assert lines[-1] == "cli  step 5/10  loss 0.5  completed"


def read_all(terminal: int) -> str:
    """What was written to a terminal until its other side was closed, which Linux says as EIO."""
    shown = b""
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    return shown.decode()


def test_a_cancelled_run_exits_3(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend() as backend:

        def cancel_all(request: Any) -> Any:
            for job in backend.jobs.values():
                job.update(status="cancelled", completedAt="2026-11-24T10:00:00Z")
            return stream(request)

        stream = backend.stream
        backend.on("GET", "/v1/jobs/{id}/events/stream", cancel_all)
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == 3, done.stderr
    assert lines_of(done)[-1] == "Job job-1 finished with status=cancelled"


def test_the_environment_names_the_backend(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", ARKOR_CLOUD_API_URL=backend.url)
    assert done.returncode == 0, done.stderr


def test_a_named_entry_and_its_options(arkor: Arkor, folder: Path) -> None:
    entry = write_entry(folder)
    entry = entry.rename(folder / "train.py")
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        options = ("--backend", backend.url, "--dry-run", "--run-key", "night")
        done = arkor("start", "train.py", *options)
        again = arkor("start", "train.py", *options)
        assert done.returncode == again.returncode == 0, done.stderr + again.stderr
        (job,) = backend.jobs.values()
    assert job["config"]["dryRun"] is True
    assert lines_of(again)[0] == "Resumed job job-1"


def test_new_and_run_key_exclude_each_other(arkor: Arkor, project: Path) -> None:
    done = arkor("start", "--new", "--run-key", "night")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_a_check_shows_what_would_be_submitted_and_submits_nothing(
    arkor: Arkor, folder: Path
) -> None:
    dataset = 'BlobDataset("https://a.example/d.jsonl?signature=s3", token="secret-0123456789")'
    entry = write_entry(folder, 'callbacks={"on_log": print}', "from arkor import BlobDataset")
    entry.write_text(entry.read_text().replace('HuggingfaceDataset("d")', dataset))
    with ScriptedBackend() as backend:
        options = ("--check", "--dry-run", "--run-key", "night", "--backend", backend.url)
        done, shown = arkor("start", *options, "--json"), arkor("start", *options)
        assert backend.requests == []
    assert done.returncode == shown.returncode == 0, done.stderr + shown.stderr
    source = {"type": "blob", "url": "https://a.example/d.jsonl"}
    assert json.loads(done.stdout) == {
        "name": "cli",
        "entry": str(entry),
        "projectRoot": str(folder),
        "backend": backend.url,
        "runKey": "night",
        "config": {"model": "m", "datasetSource": source, "maxSteps": 10, "dryRun": True},
        "callbacks": {"main": ["on_log"]},
    }
    assert "maxSteps        10\n" in shown.stdout
    assert "nothing was submitted" in shown.stderr
    assert "secret" not in done.stdout + shown.stdout


@pytest.mark.parametrize("address", ["", "ftp://u:a-password@host", "http://u:a-password@host"])
def test_a_check_finds_an_address_that_cannot_work(
    arkor: Arkor, project: Path, address: str
) -> None:
    for done in (
        arkor("start", "--check", "--backend", address),
        arkor("start", "--check", ARKOR_CLOUD_API_URL=address),
    ):
        assert_one_sentence(done, 2)
        assert "a-password" not in done.stderr


def test_a_check_finds_a_dataset_that_is_not_there(arkor: Arkor, folder: Path) -> None:
    entry = write_entry(folder, before="from arkor import FileDataset")
    entry.write_text(entry.read_text().replace('HuggingfaceDataset("d")', 'FileDataset("x.jsonl")'))
    done = arkor("start", "--check", "--backend", "local")
    assert_one_sentence(done, 2, "dataset.path", str(folder / "x.jsonl"), "No such file")
    assert arkor("start", "--json").returncode == 2


def test_resume_wins_over_a_trainer_that_says_never(arkor: Arkor, folder: Path) -> None:
    write_entry(folder, 'resume="never"')
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        assert arkor("start", "--detach", "--backend", backend.url).returncode == 0
        done = arkor("start", "--resume", "--backend", backend.url)
    assert lines_of(done)[0] == "Resumed job job-1"


def test_detached_it_returns_and_the_next_start_goes_on(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        left = arkor("start", "--detach", "--backend", backend.url)
        assert left.returncode == 0, left.stderr
        assert lines_of(left) == ["Started job job-1"]
        assert "job-1 goes on" in left.stderr
        assert not any("events" in request.path for request in backend.requests)

        done = arkor("start", "--backend", backend.url)
        assert done.returncode == 0, done.stderr
        assert lines_of(done)[0] == "Resumed job job-1"

        new = arkor("start", "--new", "--backend", backend.url)
        assert lines_of(new)[0] == "Started job job-2"


CALLBACK = """
async def fail(ctx):
    raise ValueError("the callback's own text")
"""


def test_a_callback_that_raises_exits_5(arkor: Arkor, folder: Path) -> None:
    write_entry(folder, 'callbacks={"on_log": fail}', CALLBACK)
    go_on = threading.Event()
    with ScriptedBackend([STARTED, LOG, Until(go_on), COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url)
        assert done.returncode == 5, done.stderr
        assert "ValueError: the callback's own text (src/arkor/index.py:6)" in done.stderr
        assert "job job-1 goes on at the backend" in done.stderr
        assert "Traceback" not in done.stderr

        go_on.set()
        write_entry(folder, 'callbacks={"on_log": print}')
        mended = arkor("start", "--backend", backend.url)
        assert mended.returncode == 0, mended.stderr
        assert lines_of(mended)[0] == "Resumed job job-1"


def test_a_callback_that_raises_after_the_end_exits_5_too(arkor: Arkor, folder: Path) -> None:
    write_entry(folder, 'callbacks={"on_completed": fail}', CALLBACK)
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == 5, done.stderr
    assert "job job-1 has ended: completed" in done.stderr


@pytest.fixture
def followed(project: Path, environ: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Start the command and give it back when the backend's stream has been asked for."""
    processes: list[subprocess.Popen[str]] = []

    def follow(backend: ScriptedBackend) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor", "start", "--backend", backend.url],
            cwd=project,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield follow
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_waiting_and_not_the_run(
    arkor: Arkor, followed: Callable[..., Any], number: int, code: int
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    with ScriptedBackend([STARTED, LOG, Call(reached.set), Until(go_on), COMPLETED]) as backend:
        process = followed(backend)
        assert reached.wait(60)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert out == "Started job job-1\n"
        assert "interrupted: job job-1 goes on at the backend" in err
        assert "Traceback" not in err
        assert not backend.cancelled.is_set()

        go_on.set()
        done = arkor("start", "--backend", backend.url)
        assert lines_of(done) == [
            "Resumed job job-1",
            "Job job-1 finished with status=completed",
        ], done.stderr


def test_a_second_signal_cuts_a_blocking_callback_short(
    followed: Callable[..., Any], project: Path
) -> None:
    before = "import time\ndef block(ctx):\n    print('blocking', flush=True)\n    time.sleep(60)"
    write_entry(project, 'callbacks={"on_log": block}', before)
    with ScriptedBackend([STARTED, LOG, COMPLETED]) as backend:
        process = followed(backend)
        assert [process.stdout.readline() for _ in range(2)][1] == "blocking\n"
        process.send_signal(signal.SIGINT)
        # The progress is shown by a thread of its own, before this or after it.
        waiting = (line for line in process.stderr if "Ctrl-C again quits at once" in line)
        assert next(waiting)  # the callback is given time to finish
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "arkor resume" in err
    assert "Traceback" not in err


def test_cancel_stops_a_run_that_another_process_follows(
    arkor: Arkor, followed: Callable[..., Any]
) -> None:
    reached = threading.Event()
    with ScriptedBackend([STARTED, LOG, Call(reached.set), Forever()]) as backend:
        process = followed(backend)
        assert reached.wait(60)
        done = arkor("cancel", "@last", ARKOR_CLOUD_API_URL=backend.url)
        assert done.returncode == 0, done.stderr
        assert backend.cancelled.is_set()
        assert "arkor.cancel.requested" in arkor("events", "@last").stdout
        process.kill()


def test_cancel_waits_until_the_run_has_ended(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend([STARTED, LOG, Forever()]) as backend:
        assert arkor("start", "--detach", "--backend", backend.url).returncode == 0
        # The stream of a cancelled job ends when its connection does.
        backend.on("GET", "/v1/jobs/{id}/events/stream", Answer(204))
        done = arkor("cancel", "@last", "--wait", ARKOR_CLOUD_API_URL=backend.url)
    assert done.returncode == 0, done.stderr
    assert lines_of(done)[-1] == "Job job-1 finished with status=cancelled"


def test_a_job_that_has_ended_at_the_backend_cannot_be_cancelled(
    arkor: Arkor, project: Path
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        assert arkor("start", "--detach", "--backend", backend.url).returncode == 0
        backend.jobs["job-1"]["status"] = "completed"
        done = arkor("cancel", "@last")
    assert done.returncode == 1
    assert "job job-1 has ended already" in done.stderr
    assert "arkor resume" in done.stderr


def assert_one_sentence(done: CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for word in words:
        assert word in errors[0], errors[0]


def test_no_entry(arkor: Arkor, folder: Path) -> None:
    assert_one_sentence(arkor("start"), 2, str(folder / "src" / "arkor" / "index.py"))
    assert_one_sentence(arkor("start", "no.py"), 2, str(folder / "no.py"))


def test_an_entry_that_cannot_be_imported(arkor: Arkor, folder: Path) -> None:
    write_entry(folder, before="import no_such_module")
    assert_one_sentence(arkor("start"), 2, "no_such_module")


def test_an_entry_without_a_trainer(arkor: Arkor, folder: Path) -> None:
    (folder / "train.py").write_text("x = 1\n")
    assert_one_sentence(arkor("start", "train.py"), 2, "`arkor`", "`trainer`")


def test_a_wrong_option_of_the_trainer(arkor: Arkor, folder: Path) -> None:
    write_entry(folder, "learning_rate=-1")
    assert_one_sentence(arkor("start"), 2, "learning_rate")


def test_a_wrong_address(arkor: Arkor, project: Path) -> None:
    assert_one_sentence(arkor("start", "--backend", "nowhere"), 2, "--backend", "nowhere")


def test_an_unreachable_backend(arkor: Arkor, project: Path) -> None:
    done = arkor("start", ARKOR_CLOUD_API_URL="http://127.0.0.1:1")
    assert_one_sentence(done, 4, "127.0.0.1:1")


def test_a_wrong_token(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend(token="right-token-0123456789") as backend:
        done = arkor(
            "start",
            "--backend",
            backend.url,
            ARKOR_TOKEN="wrong-token-0123456789",
            ARKOR_PROJECT="org/project",
        )
    words = f"the token was refused by {backend.url} (401)"
    assert_one_sentence(done, 4, words, "`arkor whoami`", "ARKOR_TOKEN")
    assert "wrong-token" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(400, {"Content-Type": "text/html"}, [b"<html>"]),
            ["refused the request (400)", "Arkor backend?"],
        ),
        (Answer(403), ["may not do that at {url} (403)", "member", "`arkor whoami`"]),
        (Answer(404), ["does not know what was asked for", "ARKOR_PROJECT"]),
        (answer_json({"error": "no_gpu"}, 503), ["(503): no_gpu", "try again later"]),
    ],
)
def test_a_refusal_is_explained(
    arkor: Arkor, project: Path, answer: Answer, words: list[str]
) -> None:
    with ScriptedServer() as server:
        for method in ("GET", "POST"):  # whether a job came of it is asked where that is in doubt
            server.on(method, "/v1/jobs", answer)
        named = {"ARKOR_TOKEN": "a-token-0123456789", "ARKOR_PROJECT": "org/project"}
        done = arkor("start", "--backend", server.url, **named)
    assert_one_sentence(done, 4, *(each.format(url=server.url) for each in words))


def test_a_backend_that_issues_no_identity(arkor: Arkor, project: Path) -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/auth/anonymous", answer_json({"error": "signups_closed"}, 403))
        done = arkor("start", "--backend", server.url)
    assert_one_sentence(done, 4, "no anonymous identity (403): signups_closed", "ARKOR_TOKEN")
    assert done.stderr.count("403") == 1


def test_a_store_that_cannot_be_made(arkor: Arkor, project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with ScriptedBackend() as backend:
        done = arkor("start", "--backend", backend.url, ARKOR_HOME=str(tmp_path / "file" / "home"))
        assert backend.jobs == {}
    assert_one_sentence(done, 4, str(tmp_path / "file"))


MOUNTING = "a user who may mount a filesystem: be root, in a container with --cap-add SYS_ADMIN"


@pytest.fixture
def full(tmp_path: Path, need: Callable[..., None]) -> Iterator[Path]:
    """A folder on a filesystem of its own with hardly any room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(folder)]
    mounted = not os.geteuid() and not subprocess.run(mount, capture_output=True).returncode
    need(mounted, MOUNTING)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(arkor: Arkor, project: Path, full: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url, ARKOR_HOME=str(full))
        assert backend.jobs == {}
    assert_one_sentence(done, 4, str(full))


@pytest.fixture
def readonly(tmp_path: Path, need: Callable[..., None]) -> Iterator[Path]:
    """A folder that may not be written to, not even by root."""
    folder = tmp_path / "readonly"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    need(not subprocess.run(mount, capture_output=True).returncode, MOUNTING)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_store(arkor: Arkor, project: Path, readonly: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url, ARKOR_HOME=str(readonly / "home"))
        assert backend.jobs == {}
    assert_one_sentence(done, 4, str(readonly))


def test_whoami(arkor: Arkor, project: Path, home: Path) -> None:
    nobody = arkor("whoami", ARKOR_CLOUD_API_URL="http://127.0.0.1:1")
    assert nobody.returncode == 1
    assert "not signed in" in nobody.stderr

    with ScriptedBackend([STARTED, COMPLETED], token="right-token-0123456789") as backend:
        assert arkor("start", "--backend", backend.url).returncode == 0
        url = backend.url
        said = json.loads(arkor("whoami", "--json", ARKOR_CLOUD_API_URL=url).stdout)
        assert said["user"]["id"] == "anon-1"
        assert said["orgs"] == ["anon-org"]
        assert said["stored"] == str(home / "credentials.json")
        shown = arkor("whoami")  # the address is that of the credentials
        assert shown.returncode == 0
        assert "anon-org" in shown.stdout
        refused = arkor("whoami", ARKOR_CLOUD_API_URL=url, ARKOR_TOKEN="wrong-token-0123456789")
        assert refused.returncode == 1
        assert "wrong-token" not in refused.stderr + refused.stdout
        assert "right-token" not in shown.stderr + shown.stdout
    assert_one_sentence(arkor("whoami", ARKOR_CLOUD_API_URL="http://127.0.0.1:1"), 4)
