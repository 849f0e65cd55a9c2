"""The doctor on the machine, the store, the journal and its runs: each fault planted and found."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examined import NOT_OK, close, finding, findings, write_run

from arkor.runner.doctor import Finding, worst
from arkor.store.lease import Owner
from arkor.store.migrate import migrations_folder, upgrade
from arkor.store.sqlite import open_writing
from arkor.store.writer import open_writer

ROOT = Path(__file__).parents[2]
MOUNTING = "a user who may mount a filesystem: be root, in a container with --cap-add SYS_ADMIN"


@pytest.fixture(autouse=True)
def offline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no backend: the embedded one is not running."""
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def store(home: Path) -> Path:
    """A healthy store, in which nobody is at work."""
    write_run(home, settled=True)
    close(home)
    return home


def database(home: Path) -> Path:
    return home / "arkor.db"


def change(home: Path, statement: str, *values: object) -> None:
    """Change the journal behind Arkor's back."""
    close(home)
    connection = sqlite3.connect(database(home))
    with connection:
        connection.execute(statement, values)
    connection.close()


def tree(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder: modes, times, contents.

    Not so the index of a log, in which readers of a journal in use say up to where they read.
    """
    return {
        str(path): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in folder.rglob("*")
        if not path.name.endswith("-shm")
    }


# A healthy one.


def test_a_healthy_store_is_found_healthy(store: Path) -> None:
    found = findings()
    assert worst(found) in ("ok", "note")
    assert {each.check for each in found if each.level != "ok"} <= {
        "machine.sqlite",
        "machine.extras",
    }
    assert {each.group for each in found} == {
        "machine",
        "store",
        "journal",
        "runs",
        "account",
        "backend",
    }


def test_a_store_that_is_not_there_is_not_made(home: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    assert worst(findings()) in ("ok", "note")
    assert tree(tmp_path) == before


def test_nothing_is_changed(home: Path, tmp_path: Path) -> None:
    write_run(home)  # its log is not folded in, and its owner lives
    (home / "credentials.json").write_text('{"mode": "anon"}')
    (home / "credentials.json").chmod(0o644)
    database(home).chmod(0o640)
    before = tree(tmp_path)
    findings()
    assert tree(tmp_path) == before


def test_what_is_not_ok_has_a_next_step_and_only_that() -> None:
    for level, step in (("ok", "do it"), *((level, None) for level in NOT_OK)):
        with pytest.raises(ValueError, match="next step"):
            Finding("a.check", level, "what", step)  # type: ignore[arg-type]


# The store's folder.


@pytest.mark.parametrize(
    ("name", "mode", "step"),
    [
        ("", 0o755, "chmod 700"),
        ("arkor.db", 0o644, "chmod 600"),
        ("credentials.json", 0o640, "chmod 600"),
        ("backend", 0o750, "chmod 700"),
    ],
)
def test_what_others_can_read(store: Path, name: str, mode: int, step: str) -> None:
    (store / "credentials.json").touch(mode=0o600)
    (store / "backend").mkdir(mode=0o700)
    (store / name).chmod(mode)
    found = finding("store.access")
    assert found.level == "warning"
    assert str(store / name) in found.what
    assert found.next_step == f"`{step} {store / name}`"


def test_credentials_that_others_can_read_are_not_read(store: Path) -> None:
    file = store / "credentials.json"
    file.write_text("{}")
    file.chmod(0o644)
    found = finding("account.token")
    assert (found.level, found.next_step) == (
        "warning",
        f"`chmod 600 {file}`, then `arkor doctor` again",
    )


def test_a_file_of_another_user(store: Path, need: Any) -> None:
    need(os.geteuid() == 0, "a user who may give files away: be root")
    os.chown(database(store), 65534, -1)
    found = finding("store.access")
    assert found.level == "warning"
    assert "belongs to" in found.what
    assert "chown" in str(found.next_step)


BY_NOBODY = """
import asyncio, os
from arkor.runner.doctor import examine
asyncio.run(examine("/nowhere"))  # imports what it needs, as long as that can be read
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for each in asyncio.run(examine()):
    print(each.check, each.level, each.what)
"""


def test_a_folder_that_cannot_be_entered(store: Path) -> None:
    """Seen by a user whom the permissions hold, which root is not."""
    store.chmod(0o000)
    ended = subprocess.run(
        [sys.executable, "-c", BY_NOBODY],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    store.chmod(0o700)
    assert ended.returncode == 0, ended.stderr
    assert "store.folder problem" in ended.stdout
    assert str(store) in ended.stdout


def test_a_file_in_the_place_of_the_folder(home: Path) -> None:
    home.touch()
    found = finding("store.folder")
    assert (found.level, found.next_step) == ("problem", "set ARKOR_HOME to a folder of yours")


def test_a_network_filesystem(store: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n"
        f"30 22 0:40 / {store} rw shared:2 - nfs4 server:/home rw\n"
    )
    found = finding("store.filesystem", mounts=mounts)
    assert found.level == "warning"
    assert "nfs4" in found.what


@pytest.fixture
def small(home: Path, need: Any, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The store's folder, on a filesystem of its own of 64 MB with these options."""
    home.mkdir()
    options = f"size=64m,mode=700{request.param}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)]
    mounted = not os.geteuid() and not subprocess.run(mount, capture_output=True).returncode
    need(mounted, MOUNTING)
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


@pytest.mark.parametrize("small", [""], indirect=True)
def test_little_free_space(small: Path) -> None:
    found = finding("store.space")
    assert found.level == "warning"
    assert "67.1 MB free" in found.what


@pytest.mark.parametrize("small", [",ro"], indirect=True)
def test_a_read_only_filesystem(small: Path) -> None:
    found = finding("store.folder")
    assert found.level == "warning"
    assert "read-only" in found.what


def test_a_log_without_its_journal(home: Path) -> None:
    write_run(home)
    database(home).unlink()
    found = finding("store.leftovers")
    assert found.level == "problem"
    assert "put arkor.db back" in str(found.next_step)


def test_a_log_that_was_left(home: Path, tmp_path: Path) -> None:
    write_run(home)  # still open: its records are in the log
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    for name in ("arkor.db", "arkor.db-wal"):
        shutil.copy(home / name, copy / name)
    found = finding("journal.log", home=copy)
    assert found.level == "note"
    assert "keep it beside arkor.db" in str(found.next_step)
    assert finding("runs.owners", home=copy).what == "followed by a living process: 1"


def test_copies_from_before_a_migration(store: Path) -> None:
    shutil.copy(database(store), store / "arkor.db.0001")
    found = finding("store.leftovers")
    assert found.level == "note"
    assert f"rm {store / 'arkor.db.0001'}" in str(found.next_step)


def test_another_journal_in_the_default_folder(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    shutil.copytree(store, tmp_path / "data" / "arkor")
    found = finding("store.others")
    assert found.level == "note"
    assert f"ARKOR_HOME={tmp_path / 'data' / 'arkor'}" in str(found.next_step)


def test_the_size_of_what_was_trained(store: Path) -> None:
    adapter = store / "backend" / "jobs" / "job-1" / "adapter"
    adapter.mkdir(parents=True)
    (store / "backend").chmod(0o700)
    (adapter / "adapter_model.safetensors").write_bytes(bytes(1_500_000))
    assert "jobs 1.5 MB" in finding("store.backend").what


def test_settings_that_cannot_be_used(
    store: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text('[tool.arkor]\nhom = "/elsewhere"\n')
    assert "did you mean 'home'" in finding("store.settings").what
    (project / "pyproject.toml").unlink()
    monkeypatch.setenv("ARKOR_JOURNAL_URL", "postgresql://ada:secret@host/journal")
    found = finding("store.settings")
    assert found.level == "problem"
    assert "secret" not in found.what


# The journal.


def test_a_newer_schema(store: Path) -> None:
    change(store, "UPDATE alembic_version SET version_num = '9999'")
    found = finding("journal.schema")
    assert (found.level, found.next_step) == ("problem", "`pip install -U arkor`")
    assert "9999" in found.what


def test_an_older_schema(home: Path, tmp_path: Path) -> None:
    migrations = Path(shutil.copytree(migrations_folder(), tmp_path / "migrations"))
    for later in (migrations / "versions").glob("000[2-9]*"):
        later.unlink()
    home.mkdir(mode=0o700)
    database(home).touch(mode=0o600)
    with open_writing(database(home)) as connection, connection.begin():
        upgrade(connection, migrations)
    before = tree(home)
    found = finding("journal.schema")
    assert found.level == "note"
    assert "0001" in found.what
    assert tree(home) == before


def test_the_database_of_something_else(home: Path) -> None:
    home.mkdir(mode=0o700)
    connection = sqlite3.connect(database(home))
    with connection:
        connection.execute("CREATE TABLE visits (at)")
    connection.close()
    assert "no journal of Arkor's" in finding("journal.file").what


@pytest.mark.parametrize("place", [0, 4096 * 3])
def test_a_damaged_journal(home: Path, place: int) -> None:
    for _ in range(20):
        write_run(home, settled=True)
    close(home)
    with database(home).open("r+b") as file:
        file.seek(place)
        file.write(bytes(range(256)) * 128)
    found = finding("journal.pages")
    assert found.level == "problem"
    assert "arkor store salvage" in str(found.next_step)


def test_records_from_the_future(store: Path) -> None:
    change(store, "UPDATE records SET recorded_at = recorded_at + 2 * 86400 * 1000000")
    found = finding("journal.clock")
    assert found.level == "warning"
    assert re.search(r"1 day, 23:59|2 days", found.what)


# The runs.

ORPHAN = """
import os, signal, sys
from pathlib import Path
from examined import write_run
print(write_run(Path(sys.argv[1])), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_orphan(home: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    ended = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(home)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    run_id = ended.stdout.strip()
    found = finding("runs.orphaned")
    assert (found.level, found.next_step) == ("warning", f"`arkor resume {run_id}`")
    assert run_id in found.what


def test_a_run_that_is_followed_is_fine(home: Path) -> None:
    write_run(home)
    assert finding("runs.owners").what == "followed by a living process: 1"
    assert not findings("runs.idle", "runs.stalled", "runs.orphaned")


def test_an_idle_run(home: Path) -> None:
    run_id = write_run(home)
    open_writer(home).set_idle(run_id, 1)
    found = finding("runs.idle")
    assert found.level == "note"
    assert run_id in str(found.next_step)


def test_a_run_of_a_stalled_process(home: Path) -> None:
    run_id = write_run(home)
    change(home, "UPDATE leases SET expires_at = expires_at - 3600")
    found = finding("runs.stalled")
    assert found.level == "warning"
    assert f"process {os.getpid()} lives" in found.what
    assert f"kill {os.getpid()}" in str(found.next_step)
    assert run_id in str(found.next_step)


def test_a_run_from_a_file_is_owed_nothing(home: Path) -> None:
    write_run(home)
    change(home, "UPDATE leases SET expires_at = 0")
    change(home, "UPDATE runs SET imported_at = created_at")
    assert not findings("runs.stalled", "runs.orphaned")


def test_many_orphans_are_counted(home: Path) -> None:
    dead = Owner(host="gone", boot_id="b", pid_ns="n", pid=1, process_start="0")
    for _ in range(12):
        write_run(home, owner=dead)
    change(home, "UPDATE leases SET expires_at = 0")
    assert len(findings("runs.orphaned")) == 10
    assert finding("runs.unfinished").what.startswith("2 more runs")


# The machine.


@pytest.mark.parametrize(
    ("extra", "level"), [("moon", "note"), ("backend", "problem")], ids=["spare", "needed"]
)
def test_an_extra_that_is_not_installed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, level: str
) -> None:
    info = tmp_path / "site" / "arkor-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.3\nName: arkor\nVersion: 0.1.0\nProvides-Extra: {extra}\n"
        f"Requires-Dist: no-such-package>=1; extra == '{extra}'\n"
        f"Requires-Dist: httpx>=0.1; extra == '{extra}'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = finding("machine.extras")
    assert found.level == level
    assert f"not installed: {extra} (for no-such-package)" in found.what
    assert f"`pip install 'arkor[{extra}]'`" in str(found.next_step)


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("http://ada:hunter2@proxy.example:3128", "note"),
        ("proxy.example:3128", "note"),
        ("gopher://ada:hunter2@proxy.example", "problem"),
        ("http://ada:hunter2@proxy:port", "problem"),
    ],
)
def test_proxies(store: Path, monkeypatch: pytest.MonkeyPatch, url: str, level: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    found = finding("machine.proxy")
    assert found.level == level
    assert not any("hunter2" in each.what for each in findings())


def test_a_socks_proxy_without_its_support(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is Python's own word for "not here".
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://backend.example")
    assert finding("machine.proxy").next_step == "`pip install 'httpx[socks]'`"
    assert finding("backend.reach").level == "problem"
