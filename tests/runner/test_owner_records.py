"""Every way of coming to a run says who came, from where, with which code and which callbacks."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, IDENTITY, STARTED, WISH, child, options, trainer

from arkor.core.owners import RecordedOwner, owners_in
from arkor.runner.build import build
from arkor.runner.callbacks import TrainerCallbacks
from arkor.runner.code import digest_function
from arkor.runner.entry import load_entry
from arkor.runner.project import load_trainer
from arkor.runner.takeover import adopt_job, attach, resume_orphaned, resume_run, resume_with
from arkor.runner.trainer import Trainer
from arkor.store.journal import open_journal
from arkor.testing.backend import ScriptedBackend
from arkor.testing.exchange import Answer
from arkor.testing.script import Cut

ENTRY = """
from arkor import AnonymousCredentials, TrainerOptions, create_trainer
def on_log(ctx):
    print(ctx.step)
trainer = create_trainer(
    name="a run",
    callbacks={"on_log": on_log},
    options=TrainerOptions(base_url=URL, credentials=AnonymousCredentials(**IDENTITY)),
    **WISH,
)
"""
FACTS = {
    "host", "pid", "user", "arkor", "python", "platform", "packages", "entry", "project_root",
    "script", "digests", "artifact_sha256", "git", "callbacks",
}  # fmt: skip


def owners(id: str | None = "@last") -> list[RecordedOwner]:
    journal = open_journal()
    return list(owners_in(journal.records(journal.resolve(id or ""))))


def on_completed(ctx: Any) -> None:
    """Do nothing."""


def digests_of(owner: RecordedOwner) -> dict[str, Any]:
    (only,) = owner.provenance["callbacks"]
    return {name: each["digest"] for name, each in only["functions"].items()}


def write_entry(project: Path, backend: ScriptedBackend) -> Path:
    entry = project / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    given = f"URL, IDENTITY, WISH = {backend.url!r}, {IDENTITY!r}, {WISH!r}"
    entry.write_text(f"{given}\n{ENTRY}")
    return entry


def test_the_first_owner_says_all_there_is_to_say(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run = trainer(backend, {"on_completed": on_completed})
        run.start_sync()
    (owner,) = owners(run.run_id)
    assert owner.how == "submitted"
    assert owner.provenance.keys() == FACTS
    assert owner.provenance["pid"] == os.getpid()
    assert owner.provenance["packages"].keys() >= {"httpx", "sqlalchemy"}
    assert digests_of(owner) == {"on_completed": digest_function(on_completed)}


def started_again(backend: ScriptedBackend) -> None:
    trainer(backend, {"on_completed": on_completed}).start_sync()


def resumed(backend: ScriptedBackend) -> None:
    sets = TrainerCallbacks(on_completed=on_completed)
    asyncio.run(resume_run("@last", callbacks=sets, options=options(backend)))


def resumed_with_todays_trainer(backend: ScriptedBackend) -> None:
    asyncio.run(resume_with("@last", trainer(backend, {"on_completed": on_completed})))


def resumed_by_a_server(backend: ScriptedBackend) -> None:
    sets = {"on_completed": on_completed}
    asyncio.run(resume_orphaned(callbacks=sets, options=options(backend)))


def attached(backend: ScriptedBackend) -> None:
    sets = {"on_completed": on_completed}
    asyncio.run(attach("job-1", callbacks=sets, options=options(backend)))


@pytest.mark.parametrize(
    "take",
    [started_again, resumed, resumed_with_todays_trainer, resumed_by_a_server, attached],
)
def test_who_takes_a_run_over_says_so(
    project: Path, take: Callable[[ScriptedBackend], None]
) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        left = child(backend, project, "trainer(on_log=print).start_sync()")
        assert left.returncode == 0, left.stderr
        take(backend)
        assert len(backend.jobs) == 1
    first, second = owners()
    assert (first.how, second.how) == ("submitted", "resumed")
    assert first.provenance["pid"] != second.provenance["pid"] == os.getpid()
    assert digests_of(first) == {"on_log": None}
    assert digests_of(second) == {"on_completed": digest_function(on_completed)}
    assert second.provenance.keys() == FACTS


def test_who_attaches_to_somebody_elses_run_says_so(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        trainer(backend).start_sync()
        backend.jobs["job-9"] = dict(backend.jobs["job-1"], id="job-9", name="theirs")
        sets = {"on_completed": on_completed}
        asyncio.run(attach("job-9", callbacks=sets, options=options(backend)))
    (owner,) = owners("job-9")
    assert owner.how == "attached"
    assert owner.provenance.keys() == FACTS
    assert digests_of(owner) == {"on_completed": digest_function(on_completed)}


def test_who_adopts_a_job_says_so_and_the_code_stays_what_it_was(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        entry = write_entry(project, backend)
        backend.on("POST", "/v1/jobs", Answer(before=(Cut(),)))
        code = f"from arkor import load_trainer; load_trainer({str(entry)!r}).start_sync()"
        assert child(backend, project, code).returncode == 1
        backend.on("POST", "/v1/jobs", backend.create_job)
        trainer(backend, name="other").start_sync()
        run_id = open_journal().runs()[-1].run_id
        asyncio.run(adopt_job(run_id, "job-1", options=options(backend)))
    first, second = owners(run_id)
    assert (first.how, second.how) == ("submitted", "adopted")
    assert (second.provenance["pid"], second.provenance["callbacks"]) == (os.getpid(), [])
    state = open_journal().run(run_id)
    assert state.provenance == first.provenance
    assert state.provenance["entry"] == "src/arkor/index.py"


def test_an_entry_and_its_artifact_have_the_same_callbacks(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        entry = write_entry(project, backend)
        built = build(entry)
        runs = [load_trainer(entry), load_trainer(built.path).with_options(resume="never")]
        for run in runs:
            run.start_sync()
    (source,), (packed,) = (owners(run.run_id) for run in runs)
    assert source.provenance["entry"] == "src/arkor/index.py"
    assert source.provenance["artifact_sha256"] is None
    assert packed.provenance["entry"] == ".arkor/build/index.pyz"
    assert packed.provenance["artifact_sha256"] == built.sha256
    assert source.provenance["callbacks"] == packed.provenance["callbacks"]
    assert source.provenance["digests"] == packed.provenance["digests"] == built.modules
    (only,) = source.provenance["callbacks"]
    assert only["functions"]["on_log"]["function"] == "src.arkor.index.on_log"


def test_a_set_without_a_callback_is_named_all_the_same(project: Path) -> None:
    with ScriptedBackend([STARTED, COMPLETED]) as backend:
        run: Trainer = trainer(backend)
        run.start_sync()
    (owner,) = owners(run.run_id)
    (only,) = owner.provenance["callbacks"]
    assert (only["name"], only["class"], only["functions"]) == ("main", None, {})


def test_a_load_has_the_digest_of_the_load_before(project: Path) -> None:
    with ScriptedBackend() as backend:
        entry = write_entry(project, backend)
        functions = [load_entry(entry).module.on_log for _ in range(2)]
    assert functions[0] is not functions[1]
    assert digest_function(functions[0]) == digest_function(functions[1])
