"""Bad weather: kill -9, a full disk, a read-only one, no permission, a failing one."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arkor.core.record import canonical, digest_of
from arkor.errors import JournalError
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.writer import Writer

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--mount", "--map-root-user"]

InNamespace = Callable[..., subprocess.CompletedProcess[str]]

APPEND = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.lease import current_owner
from arkor.core.record import Entry
writer = Writer(Path(sys.argv[1]))
with writer.transaction(durable=True) as tx:
    epoch = tx.take_lease(sys.argv[2], current_owner(), adopt="dead")
n = 0
while True:
    batch = [Entry("stream", "x", "y" * (n % 3000), str(n + k)) for k in range(n % 7 + 1)]
    n = writer.append(sys.argv[2], batch, epoch=epoch, durable=n % 2 == 0)[-1].seq
    print(n, flush=True)
"""

FULL = """
import sys; from pathlib import Path
from arkor.store.writer import *; from arkor.store.journal import Journal; from arkor.store.lease import current_owner
from arkor.core.record import Entry; from arkor.errors import JournalError
disk = Path(sys.argv[1]); path = disk / "store" / "arkor.db"
writer = Writer(path)
row = NewRun(name="n", project_root="", org_slug="", project_slug="", fingerprint="")
with writer.transaction(durable=True) as tx:
    run = tx.create_run(row, [Entry("local", "arkor.x", "{}")], current_owner()).run_id
(disk / "ballast").write_bytes(bytes(300_000))
kept, refused = 1, None
for n in range(100_000):
    try:
        kept = writer.append(run, [Entry("stream", "x", "y" * 3000)] * 4, epoch=1, durable=n % 2 == 0)[-1].seq
    except JournalError as error:
        refused = error
        break
assert refused is not None
print(refused)
assert [r.seq for r in Journal(path).records(run)] == list(range(1, kept + 1))
(disk / "ballast").unlink()
assert writer.append(run, [Entry("stream", "x", "y")], epoch=1, durable=True)[0].seq == kept + 1
writer.close()
assert [r.seq for r in Journal(path).records(run)] == list(range(1, kept + 2))
"""

USE = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.journal import Journal
from arkor.core.record import Entry; from arkor.errors import JournalError
path = Path(sys.argv[1])
try:
    print(len(list(Journal(path).records(sys.argv[2]))))
except JournalError as error:
    print(error)
try:
    Writer(path).append(sys.argv[2], [Entry("stream", "x", "y")], epoch=1, durable=True)
    print("written")
except JournalError as error:
    print(error)
"""


COPY = """
import asyncio, sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.journal import Journal
from arkor.core.notes import Resumed, entry_of; from arkor.core.record import Entry
written, seen, run = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
writer, journal = Writer(written), Journal(seen)

def write(entry):
    writer.append(run, [entry], epoch=1, durable=False)
    writer.close()  # so that there is never an index that the reader could use

async def follow():
    async for record in journal.follow(run):
        print(record.seq, record.type)
        if record.seq == 1:
            write(Entry("stream", "x", "y"))
        elif record.seq == 2:
            write(Entry("stream", "training.completed", '{"type":"training.completed"}'))

asyncio.run(asyncio.wait_for(follow(), 60))
"""

RETRY = """
import sys; from pathlib import Path
from arkor.store.writer import Writer; from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.core.record import Entry; from arkor.errors import JournalError
path, run = Path(sys.argv[1]), sys.argv[2]
writer, failed = Writer(path), 0
def retry(call):
    global failed
    while True:
        try:
            return call()
        except JournalError as error:
            failed += 1
            assert str(path) in str(error), error
def take():
    with writer.transaction(durable=True) as tx:
        return tx.take_lease(run, current_owner(), adopt="idle")
seq = retry(lambda: Journal(path).run(run)).records
epoch = retry(take)
for n in range(3):
    event = Entry("stream", "x", "y", str(n))
    (record,) = retry(lambda: writer.append(run, [event], epoch=epoch, durable=True))
    assert record.seq == seq + 1, (record, seq)
    seq += 1
retry(lambda: writer.release(run, epoch))
print(failed)
"""


def assert_whole(journal: Journal, run: str) -> int:
    digest, seq = bytes(32), 0
    for seq, r in enumerate(journal.records(run), 1):
        form = canonical(run, seq, r.source, r.type, r.sse_id, r.recorded_at, r.data)
        digest = digest_of(digest, form)
        assert (r.seq, r.digest) == (seq, digest)
    return seq


def test_kill_9_leaves_a_whole_chain(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run()
    writer.release(run, 1)
    chance = random.Random(7)
    said = 1
    for _ in range(5):
        with start(APPEND, writer.path, run) as child:
            for _ in range(chance.randrange(20, 200)):
                said = int(child.stdout.readline())
            child.kill()
            rest = child.stdout.read().split()
            said = int(rest[-1]) if rest else said
        assert child.returncode == -signal.SIGKILL
        assert assert_whole(Journal(writer.path), run) >= said
    with writer.transaction(durable=True) as tx:
        assert tx.take_lease(run, current_owner(), adopt="dead") == 7


@pytest.fixture
def in_namespace(need: Callable[..., None]) -> InNamespace:
    """Runs a shell script, then a Python program with arguments, with mounts of their own."""
    there = shutil.which("unshare") and not subprocess.run([*NAMESPACE, "true"]).returncode
    need(there, "unshare(1) and a user with namespaces: apt-get install util-linux, or be root")

    def run(script: str, program: str, *args: object) -> subprocess.CompletedProcess[str]:
        command = f'{script} && exec "$0" -c "$1" "${{@:2}}"'
        return subprocess.run(
            [*NAMESPACE, "bash", "-c", command, sys.executable, program, *map(str, args)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )

    return run


def test_a_full_disk_is_named_and_nothing_is_lost(
    tmp_path: Path, in_namespace: InNamespace
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = in_namespace(f"mount -t tmpfs -o size=1m disk {disk}", FULL, disk)
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stdout
    assert str(disk / "store" / "arkor.db") in done.stdout


def test_a_read_only_disk_is_named(
    writer: Writer, make_run: Callable[..., str], in_namespace: InNamespace
) -> None:
    run = make_run()
    writer.close()
    home = writer.path.parent
    script = f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"
    done = in_namespace(script, USE, writer.path, run)
    assert done.stderr == ""
    read, written = done.stdout.splitlines()
    assert read == "1"
    assert "read-only" in written.lower()
    assert str(writer.path) in written


def test_a_follower_on_a_read_only_disk_sees_what_is_written_elsewhere(
    writer: Writer, make_run: Callable[..., str], tmp_path: Path, in_namespace: InNamespace
) -> None:
    run = make_run()
    writer.close()
    home, view = writer.path.parent, tmp_path / "view"
    view.mkdir()
    script = f"mount --bind {home} {view} && mount -o remount,ro,bind {view}"
    done = in_namespace(script, COPY, writer.path, view / "arkor.db", run)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["1 arkor.submit.requested", "2 x", "3 training.completed"]


def test_a_folder_without_permission_is_named(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = make_run()
    writer.close()
    writer.path.parent.chmod(0)
    # Root may do anything, so become somebody else, once all that is needed is imported.
    drop = "Journal(Path('none')).runs()\nimport os\nif os.geteuid() == 0: os.setuid(65534)\n"
    program = USE.replace("try:", f"{drop}try:", 1)
    try:
        out, said = start(program, writer.path, run).communicate(timeout=60)
    finally:
        writer.path.parent.chmod(0o700)
    assert said == ""
    lines = out.splitlines()
    assert [str(writer.path.parent) in line for line in lines] == [True, True]
    assert ["permission" in line.lower() for line in lines] == [True, True]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="ARKOR_HOME"):
        Writer(tmp_path / "file" / "store" / "arkor.db").append("R", [], epoch=1, durable=True)


@pytest.mark.parametrize(
    ("fault", "step"), [("fdatasync:error=EIO", 3), ("pwrite64:error=ENOSPC", 17)]
)
def test_any_write_may_fail_and_be_tried_again(
    writer: Writer,
    make_run: Callable[..., str],
    tmp_path: Path,
    need: Callable[..., None],
    fault: str,
    step: int,
) -> None:
    need(shutil.which("strace"), "strace(1): apt-get install strace")
    run = make_run()
    writer.release(run, 1)
    writer.close()
    trace = tmp_path / "trace"
    failed = []
    # Some of them here; every one is for scripts/soak.
    for when in range(2, 200, step):
        inject = ["strace", "-f", "-o", trace, "-e", f"inject={fault}:when={when}"]
        done = subprocess.run(
            [*inject, sys.executable, "-c", RETRY, writer.path, run],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        failed.append(done.stdout)
        assert_whole(Journal(writer.path), run)
        if "(INJECTED)" not in trace.read_text():
            break
    assert failed[-1] == "0\n"
    assert "1\n" in failed
