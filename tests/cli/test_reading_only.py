"""What only reads changes nothing and makes nothing, wherever the journal lies; and reads it right."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from arkor.cli.main import app
from arkor.store.migrate import migrations_folder, upgrade
from arkor.store.sqlite import open_writing
from arkor.testing import ScriptedBackend

ROOT = Path(__file__).parents[2]
HISTORIES = ROOT / "tests" / "histories"
NAMESPACE = ("unshare", "--mount", "--map-root-user")

ENTRY = """
from arkor import HuggingfaceDataset, create_trainer
async def on_log(ctx):
    await ctx.once("note", lambda: ctx.step)
trainer = create_trainer(
    name="cli", model="m", dataset=HuggingfaceDataset("d"), callbacks={"on_log": on_log}
)
"""
EVENTS = [
    {"type": "training.started"},
    {"type": "training.log", "step": 1, "loss": 0.5},
    {"type": "checkpoint.saved", "step": 1},
    {"type": "training.log", "step": 2, "loss": 0.4},
    {"type": "training.completed", "artifacts": []},
]

RUN_AND_DIE = """
import os, signal, sys
from arkor import run_trainer_sync
run_trainer_sync(sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)  # the write-ahead log stays, and holds it all
"""

KEEP_WRITING = """
import sys, threading
from pathlib import Path
from arkor.core.notes import SubmitRequested, entry_of
from arkor.core.record import Entry
from arkor.store.lease import current_owner
from arkor.store.writer import NewRun, Writer
writer = Writer(Path(sys.argv[1]))
row = NewRun(name="busy", project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
wish = SubmitRequested("busy", {}, "f", "k", "http://127.0.0.1:9", "o", "p", "/p", ("main",))
with writer.transaction(durable=True) as tx:
    run = tx.create_run(row, [entry_of(wish)], current_owner())
print(run.run_id, flush=True)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
while not over.wait(0.002):
    writer.append(run.run_id, [Entry("stream", "training.log", '{"x": 1}')], epoch=1, durable=False)
writer.release(run.run_id, 1)
writer.close()
"""

WRITING = {"init", "new", "build", "start", "resume", "adopt", "cancel", "import", "backend"} | {
    "dev",
    "login",
    "logout",
    "link",
    "unlink",
    "systemd",
    "cron",
}

Said = Mapping[str, list[Any]]


def reading_commands(run: str, entry: Path, out: Path) -> dict[str, list[str]]:
    """Every command that only reads."""
    return {
        "runs": ["runs", "--all", "--json"],
        "show": ["show", run, "--json"],
        "show in words": ["show", run],
        "events": ["events", run, "--json"],
        "watch": ["watch", run],
        "replay": ["replay", run, "--entry", str(entry), "--json"],
        "whoami": ["whoami"],
        "doctor": ["doctor", "--json"],
        "verify": ["verify", run, "--json"],
        "verify all": ["verify", "--all", "--json"],
        "anchor": ["anchor", run],
        "export jsonl": ["export", run, "--format", "jsonl"],
        "export csv": ["export", run, "--format", "csv"],
        "export cloudevents": ["export", run, "--format", "cloudevents"],
        "report": ["report", run, "-o", str(out / "report.html")],
        "diff": ["diff", run, run, "--json"],
        "store check": ["store", "check", "--json"],
        "prune dry run": [
            *("prune", "--older-than", "0d", "--keep-last", "0"),
            *("--all", "--dry-run", "--json"),
        ],
        "store path": ["store", "path"],
        "store backup": ["store", "backup", str(out / "backup.db")],
    }


@dataclass(frozen=True)
class Recorded:
    """A folder with a journal in it, as something has left it; and a run in that."""

    journal: Path
    run: str
    records: int
    entry: Path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """What an owner leaves that is killed when its run has ended: nothing is in the file itself."""
    folder = tmp_path_factory.mktemp("killed")
    entry = folder / "project" / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    (folder / "project" / "pyproject.toml").write_text("[tool.arkor]\n")
    entry.write_text(ENTRY)
    with ScriptedBackend(EVENTS) as backend:
        environ = os.environ | {
            "ARKOR_HOME": str(folder / "store"),
            "ARKOR_CLOUD_API_URL": backend.url,
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN_AND_DIE, str(entry)],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == -9, done.stderr
    journal = folder / "store" / "arkor.db"
    assert journal.with_name("arkor.db-wal").stat().st_size > 0
    (folder / "kept").mkdir()
    run, records = facts(copied(journal, folder / "kept", "-wal"))
    return Recorded(journal, run, records, entry)


def copied(journal: Path, into: Path, *beside: str) -> Path:
    """A copy of the file, and of those beside it, in a folder of its own."""
    into.mkdir(mode=0o700, exist_ok=True)
    for ending in ("", *beside):
        shutil.copyfile(f"{journal}{ending}", into / f"{journal.name}{ending}")
    return into / journal.name


def facts(journal: Path) -> tuple[str, int]:
    """The run and its number of records, read without Arkor. Folds the write-ahead log away."""
    connection = sqlite3.connect(journal)
    query = "SELECT run_id, count(*) FROM runs JOIN records ON run = id GROUP BY 1"
    (found,) = connection.execute(query).fetchall()
    connection.close()
    return str(found[0]), int(found[1])


@pytest.fixture(scope="module")
def expected(killed: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What the commands say of the same journal in a folder where anything may be written."""
    folder = tmp_path_factory.mktemp("usual")
    return read(copied(killed.journal, folder / "copy", "-wal", "-shm"), killed, folder)


def read(journal: Path, of: Recorded, folder: Path, *wrapper: str) -> Said:
    """Run every reading command on `journal`, from an empty home, behind `wrapper`."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    commands = reading_commands(of.run, of.entry, out)
    done = subprocess.run(
        [*wrapper, sys.executable, str(ROOT / "tests" / "cli" / "reading.py"), str(journal)],
        input=json.dumps(commands),
        cwd=folder,
        env=os.environ
        | {
            "HOME": str(folder),
            "ARKOR_HOME": str(folder / "home"),
            "ARKOR_CLOUD_API_URL": "http://127.0.0.1:9",  # nobody listens at `discard`
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout)
    assert said.keys() == commands.keys()
    return said


def assert_right(said: Said, expected: Said, of: Recorded) -> None:
    """The commands say what they say of the same journal elsewhere."""
    for name, (code, out, error, _) in said.items():
        assert code in ((0, 1) if name in ("doctor", "whoami") else (0,)), (name, error, out)
        assert "Traceback" not in error, (name, error)
        if name in SAME:
            assert out == expected[name][1], name
    lines = [json.loads(line) for line in said["events"][1].splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, of.records + 1))
    assert json.loads(said["show"][1])["records"] == of.records
    (row,) = [row for row in json.loads(said["runs"][1]) if row["runId"] == of.run]
    assert row["status"] == "completed"
    verified, head = json.loads(said["verify"][1]), json.loads(said["show"][1])["head"]
    assert (verified["ok"], verified["records"], verified["head"]) == (True, of.records, head)
    assert [each["runId"] for each in json.loads(said["prune dry run"][1])] == [of.run]
    assert json.loads(said["store check"][1]) == []
    assert said["anchor"][1].split()[:5] == ["arkor-anchor", "v1", of.run, str(of.records), head]


SAME = frozenset(
    {
        "show",
        "show in words",
        "events",
        "replay",
        "verify",
        "anchor",
        "export jsonl",
        "export csv",
        "export cloudevents",
        "diff",
    }
)


def changed(said: Said, but: str = "/no file") -> dict[str, list[str]]:
    """What each command has touched in the journal's folder and in `ARKOR_HOME`."""
    found = {
        name: [change for change in changes if not change.startswith(but)]
        for name, (_, _, _, changes) in said.items()
    }
    return {name: changes for name, changes in found.items() if changes}


def test_every_command_either_writes_or_is_tried_here() -> None:
    tried = {given[0] for given in reading_commands("", Path(), Path()).values()}
    assert tried | WRITING == set(typer.main.get_group(app).commands)


def test_a_copy_of_the_file_alone(killed: Recorded, expected: Said, tmp_path: Path) -> None:
    journal = copied(killed.journal, tmp_path / "copy", "-wal")
    facts(journal)
    assert [file.name for file in journal.parent.iterdir()] == ["arkor.db"]
    assert 2 in journal.read_bytes()[18:20]  # its header says that there may be a log
    said = read(journal, killed, tmp_path)
    assert_right(said, expected, killed)
    assert changed(said) == {}


@pytest.mark.parametrize("beside", [("-wal",), ("-wal", "-shm")], ids=" ".join)
def test_a_copy_with_its_log(
    killed: Recorded, expected: Said, tmp_path: Path, beside: tuple[str, ...]
) -> None:
    journal = copied(killed.journal, tmp_path / "copy", *beside)
    said = read(journal, killed, tmp_path)
    assert_right(said, expected, killed)
    # An index that is there already is where SQLite's readers meet. It holds no data.
    assert changed(said, but=f"{journal}-shm:") == {}


@pytest.mark.parametrize("beside", [(), ("-wal",), ("-wal", "-shm")], ids=" ".join)
def test_a_copy_on_a_disk_that_cannot_be_written_to(
    killed: Recorded,
    expected: Said,
    tmp_path: Path,
    need: Callable[..., None],
    beside: tuple[str, ...],
) -> None:
    there = shutil.which("unshare") and not subprocess.run([*NAMESPACE, "true"]).returncode
    need(there, "unshare(1) and a user with namespaces: apt-get install util-linux, or be root")
    journal = copied(killed.journal, tmp_path / "copy", "-wal", *beside[1:])
    if not beside:
        facts(journal)
    folder = journal.parent
    script = f'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "$@"'
    said = read(journal, killed, tmp_path, *NAMESPACE, "bash", "-c", script, "bash")
    assert_right(said, expected, killed)
    assert changed(said) == {}


@contextmanager
def an_owner_at_work(journal: Path) -> Iterator[str]:
    """Another run in the journal, which a process appends to all the while."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEP_WRITING, str(journal)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_beside_an_owner_that_keeps_writing(
    killed: Recorded, expected: Said, tmp_path: Path
) -> None:
    journal = copied(killed.journal, tmp_path / "copy", "-wal")
    with an_owner_at_work(journal) as busy:
        names = {file.name for file in journal.parent.iterdir()}
        said = read(journal, killed, tmp_path)
        assert {file.name for file in journal.parent.iterdir()} == names
    assert_right(said, expected, killed)
    assert busy in said["runs"][1]
    # The file is its owner's to write, and those beside it. No reader opens it for writing.
    assert changed(said, but=str(journal)) == {}


def test_a_journal_of_the_first_schema(tmp_path: Path) -> None:
    old = first_schema(tmp_path)
    later = copied(old.journal, tmp_path / "later")
    usual = read(later, old, tmp_path)
    said = read(old.journal, old, tmp_path)
    assert_right(said, usual, old)
    assert changed(said) == {}


def first_schema(folder: Path) -> Recorded:
    """A journal as 0.1.0 left it, closed."""
    migrations = Path(shutil.copytree(migrations_folder(), folder / "migrations"))
    for later in (migrations / "versions").glob("000[2-9]*"):
        later.unlink()
    journal = folder / "old" / "arkor.db"
    journal.parent.mkdir(mode=0o700)
    journal.touch(mode=0o600)
    connection = open_writing(journal)
    with connection.begin():
        upgrade(connection, migrations)
    connection.close()
    rows = json.loads((HISTORIES / "0.1.0-completed.log.json").read_text())
    run = rows[0]["run_id"]
    old = sqlite3.connect(journal)
    state = json.loads((HISTORIES / "0.1.0-completed.state.json").read_text())
    old.execute(
        "INSERT INTO runs VALUES (1, ?, ?, ?, '/p', 'o', 'p', 'f', ?,"
        " '2026-11-24T10:00:00.000000Z', ?, ?)",
        (
            *(run, state["name"], state["job"]["id"], state["wish"]["run_key"]),
            *(state["status"], state["settled"]),
        ),
    )
    old.execute("INSERT INTO leases VALUES (1, 1, 'released', 'h', 'b', 'n', 1, 's', 0.0, 0.0)")
    old.executemany(
        "INSERT INTO records VALUES (1, :seq, :source, :type, :sse_id, :data, :recorded_at, :digest)",
        [{**row, "digest": bytes.fromhex(row["digest"])} for row in rows],
    )
    old.commit()
    old.execute("PRAGMA journal_mode=wal")
    old.close()
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(ENTRY)
    return Recorded(journal, run, len(rows), entry)
