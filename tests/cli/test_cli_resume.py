"""`arkor resume`, `watch` and `adopt`, in processes of their own against a scripted backend."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.store.journal import open_journal
from arkor.testing import Call, Cut, Forever, Received, ScriptedBackend, Until, lost
from arkor.testing.script import Answer

Arkor = Callable[..., CompletedProcess[str]]

STARTED = {"type": "training.started"}
LOG = {"type": "training.log", "step": 5, "loss": 0.5}
COMPLETED = {"type": "training.completed", "artifacts": []}
FAILED = {"type": "training.failed", "error": "out of memory"}

ENTRY = """
from arkor import BlobDataset, HuggingfaceDataset, TrainerOptions, create_trainer

{before}

trainer = create_trainer(
    name="cli",
    model="m",
    dataset={dataset},
    max_steps=10,
    options=TrainerOptions(reconnect_delay=0.02),
    {options}
)
"""


def write_entry(
    folder: Path,
    options: str = "",
    *,
    before: str = "",
    dataset: str = "HuggingfaceDataset('d')",
) -> Path:
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.arkor]\n")
    text = ENTRY.format(options=options, before=before, dataset=dataset)
    entry.write_text(text)
    return entry


@pytest.fixture
def project(folder: Path) -> Path:
    write_entry(folder)
    return folder


def leave(arkor: Arkor, backend: ScriptedBackend, *more: str) -> str:
    """Start a run and let its process end; its run id."""
    done = arkor("start", "--detach", "--backend", backend.url, *more)
    assert done.returncode == 0, done.stderr
    return newest()


def newest() -> str:
    """The id of the newest run."""
    return open_journal().runs()[0].run_id


def lines_of(done: CompletedProcess[str]) -> list[str]:
    return done.stdout.splitlines()


def test_the_only_orphan_is_resumed_with_the_callbacks_of_its_entry(
    arkor: Arkor, here: Arkor, project: Path
) -> None:
    note = "def note(ctx):\n    open('seen', 'a').write(f'{ctx.step}')"
    write_entry(project, 'callbacks={"on_log": note}', before=note)
    with ScriptedBackend([STARTED, LOG, COMPLETED]) as backend:
        run_id = leave(arkor, backend)
        listed = here("runs")
        assert "orphan" in listed.stdout
        assert "nobody waits on an orphan: `arkor resume ID`" in listed.stderr
        done = arkor("resume")
        assert done.returncode == 0, done.stderr
        assert lines_of(done) == ["Resumed job job-1", "Job job-1 finished with status=completed"]
        assert "step 5/10  loss 0.5" in done.stderr
        assert "changed" not in done.stderr
        assert (project / "seen").read_text() == "5"

        nothing = here("resume")
        assert nothing.returncode == 2
        assert "no run of this project was left behind" in nothing.stderr
        settled = arkor("resume", run_id)
        assert lines_of(settled) == lines_of(done)
        assert "callbacks main  finished" in [
            line.strip() for line in here("show", run_id).stdout.splitlines()
        ]
    assert len(backend.jobs) == 1


def test_changed_code_is_named_and_runs_from_its_projects_root(
    arkor: Arkor, project: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    with ScriptedBackend([STARTED, LOG, FAILED]) as backend:
        run_id = leave(arkor, backend)
        before = "import os\nprint('loaded in', os.getcwd())\n"
        before += "def here(ctx):\n    print('called in', os.getcwd())"
        write_entry(project, 'callbacks={"on_log": here}', before=before)
        done = subprocess.run(
            [sys.executable, "-m", "arkor", "resume", run_id],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert "changed since the run began: src/arkor/index.py" in done.stderr
    assert f"loaded in {project}\n" in done.stdout
    assert f"called in {project}\n" in done.stdout


def test_several_orphans_are_listed_and_all_of_them_resumed(
    arkor: Arkor, here: Arkor, project: Path
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        first, second = leave(arkor, backend), leave(arkor, backend, "--new")
        several = here("resume")
        assert several.returncode == 2
        assert [line.split()[0] for line in lines_of(several)] == ["run", first, second]
        assert "2 runs" in several.stderr

        write_entry(project, before="raise RuntimeError('broken')")
        broken = arkor("resume", "--all")
        assert broken.returncode == 2
        assert broken.stderr.count("error: ") == 2  # one does not keep the other from it

        write_entry(project)
        done = arkor("resume", "--all")
        assert done.returncode == 0, done.stderr
        assert [line for line in lines_of(done) if "finished" in line] == [
            "Job job-1 finished with status=completed",
            "Job job-2 finished with status=completed",
        ]
        again = here("resume", "--all")
        assert (again.returncode, again.stderr) == (0, "no run was left behind\n")


def test_a_script_of_its_own_is_recorded_and_not_called(
    arkor: Arkor, here: Arkor, project: Path, environ: dict[str, str]
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        script = project / "src" / "arkor" / "index.py"
        script.write_text(script.read_text() + "\nif __name__ == '__main__': trainer.start_sync()")
        subprocess.run(
            [sys.executable, str(script)],
            cwd=project,
            env=environ | {"ARKOR_CLOUD_API_URL": backend.url},
            check=True,
        )
        done = arkor("resume")
    assert done.returncode == 0, done.stderr
    assert "its callbacks are not called" in done.stderr
    said = json.loads(here("show", "@last", "--json").stdout)
    assert (said["status"], said["settled"]) == ("completed", False)
    assert said["owner"]["state"] == "orphan"


def test_what_a_callback_is_owed_after_the_end_is_delivered_by_resume(
    arkor: Arkor, here: Arkor, project: Path
) -> None:
    broken = "def fail(ctx):\n    raise ValueError('no')"
    write_entry(project, 'callbacks={"on_completed": fail}', before=broken)
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url)
        assert done.returncode == 5, done.stderr
        run_id = newest()
        assert f"`arkor resume {run_id}` makes the calls still owed" in done.stderr
        shown = here("show", run_id).stdout
        assert "the next call has raised, and will be attempt 2" in shown
        write_entry(project, 'callbacks={"on_completed": lambda ctx: print("try", ctx.attempt)}')
        mended = arkor("resume", run_id)
    assert mended.returncode == 0, mended.stderr
    assert "try 2" in lines_of(mended)


BLOB = "BlobDataset('https://data.example/a.jsonl', token={token!r})"


def test_a_token_that_the_journal_does_not_keep_comes_from_the_entry(
    arkor: Arkor, here: Arkor, project: Path
) -> None:
    token, rotated = "first-token-0123456789", "rotated-token-0123456789"
    write_entry(project, dataset=BLOB.format(token=token))
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        backend.on("POST", "/v1/jobs", Answer(503), Answer(503), Answer(503), backend.create_job)
        start = arkor("start", "--backend", backend.url)
        assert start.returncode == 4, start.stderr
        assert backend.jobs == {}

        write_entry(project)  # another dataset: there is no token for the one on record
        without = arkor("resume")
        assert without.returncode == 2, without.stderr
        assert "dataset token" in without.stderr

        write_entry(project, dataset=BLOB.format(token=rotated))
        done = arkor("resume")
        assert done.returncode == 0, done.stderr
        (job,) = backend.jobs.values()
    assert job["config"]["datasetSource"]["token"] == rotated
    said = here("events", "@last", "--json").stdout + done.stderr + done.stdout
    assert "-token-0123456789" not in said


@pytest.fixture
def doubtful() -> Iterator[ScriptedBackend]:
    """A backend of which nobody knows which of two jobs the first request made."""
    with ScriptedBackend([STARTED, COMPLETED], idempotency=False) as backend:

        def twice(request: Received) -> Answer:
            backend.create_job(request)
            return backend.create_job(request)

        backend.on("POST", "/v1/jobs", lost(twice), backend.create_job)
        yield backend


def test_a_run_in_doubt_is_said_which_job_it_is(
    arkor: Arkor, project: Path, doubtful: ScriptedBackend
) -> None:
    done = arkor("start", "--backend", doubtful.url)
    assert done.returncode == 4, done.stderr
    run_id = newest()
    assert f"`arkor adopt {run_id} JOB`" in done.stderr

    adopted = arkor("adopt", run_id, "job-2")
    assert adopted.returncode == 0, adopted.stderr
    assert lines_of(adopted) == [f"Run {run_id} is job job-2, which is queued"]
    followed = arkor("resume")
    assert lines_of(followed)[-1] == "Job job-2 finished with status=completed", followed.stderr
    assert len(doubtful.jobs) == 2
    assert arkor("adopt", run_id, "job-1").returncode == 2


def test_a_run_in_doubt_is_sent_again_when_it_is_none_of_the_jobs(
    arkor: Arkor, project: Path, doubtful: ScriptedBackend
) -> None:
    assert arkor("start", "--backend", doubtful.url).returncode == 4
    done = arkor("resume", "@last", "--submit-again")
    assert lines_of(done)[-1] == "Job job-3 finished with status=completed", done.stderr


def test_a_refused_run_cannot_be_resumed(arkor: Arkor, project: Path) -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/jobs", Answer(422))
        assert arkor("start", "--backend", backend.url).returncode == 4
        done = arkor("resume", "@last")
    assert done.returncode == 2
    assert "refused" in done.stderr
    assert backend.jobs == {}


@pytest.fixture
def followed(project: Path, environ: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Start a command that is not waited for."""
    processes: list[subprocess.Popen[str]] = []

    def follow(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor", *arguments],
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


def test_a_run_is_watched_beside_its_owner(
    arkor: Arkor, here: Arkor, followed: Callable[..., Any]
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    with ScriptedBackend([STARTED, Call(reached.set), Until(go_on), LOG, FAILED]) as backend:
        owner = followed("start", "--backend", backend.url)
        assert reached.wait(60)
        assert f"process {owner.pid}" in here("runs").stdout
        owned = arkor("resume", "@last")
        assert owned.returncode == 4, owned.stderr
        assert f"process {owner.pid}" in owned.stderr
        assert "arkor watch" in owned.stderr

        watcher = followed("watch", "@last")
        assert watcher.stdout.readline() == "Watching job job-1\n"
        go_on.set()
        out, err = watcher.communicate(timeout=60)
        assert watcher.returncode == 1, err
        assert out == "Job job-1 finished with status=failed\n"
        assert "step 5/10  loss 0.5" in err
        assert owner.wait(60) == 1
    ended = here("watch", "@last")
    assert (ended.returncode, lines_of(ended)) == (1, ["Job job-1 finished with status=failed"])


def test_a_run_is_watched_at_the_backend_when_its_owner_has_died(
    here: Arkor, followed: Callable[..., Any]
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    story = [STARTED, LOG, Call(reached.set), Until(go_on), Cut(), LOG | {"step": 7}, FAILED]
    with ScriptedBackend(story) as backend:
        owner = followed("start", "--backend", backend.url)
        assert reached.wait(60)
        watcher = followed("watch", "@last")
        assert watcher.stdout.readline() == "Watching job job-1\n"
        owner.kill()
        owner.wait()
        lines = iter(watcher.stderr.readline, "")
        said = next(line for line in lines if "nobody follows" in line)
        assert f"process {owner.pid}" in said
        assert "`arkor resume " in said
        go_on.set()
        out, err = watcher.communicate(timeout=60)
        assert (watcher.returncode, out) == (1, "Job job-1 finished with status=failed\n"), err
        assert "step 7/10  loss 0.5" in err
    assert here("runs", "--status", "running").stdout.count("orphan") == 1  # nothing was recorded
    assert "step 7" not in here("events", "@last").stdout


def test_what_cannot_be_watched_is_said(
    arkor: Arkor, followed: Callable[..., Any], home: Path
) -> None:
    reached = threading.Event()
    with ScriptedBackend([STARTED, LOG, Call(reached.set), Forever()]) as backend:
        owner = followed("start", "--backend", backend.url)
        assert reached.wait(60)
        owner.kill()
        owner.wait()
    gone = arkor("watch", "@last")
    assert gone.returncode == 4
    assert backend.url.removeprefix("http://") in gone.stderr
    (home / "credentials.json").unlink()
    nobody = arkor("watch", "@last")
    assert nobody.returncode == 4
    assert "nobody is signed in here" in nobody.stderr
    assert not (home / "credentials.json").exists()


def test_a_signal_while_resuming_leaves_the_run(arkor: Arkor, followed: Callable[..., Any]) -> None:
    reached = threading.Event()
    with ScriptedBackend([STARTED, Cut(), LOG, Call(reached.set), Forever()]) as backend:
        run_id = leave(arkor, backend)
        process = followed("resume")
        assert reached.wait(60)
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143, err
        assert "interrupted: job job-1 goes on at the backend" in err
        assert f"`arkor resume {run_id}`" in err
        assert "Traceback" not in err
