"""Where things are, and the lock between processes."""

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from arkor.errors import ArkorError, JournalError
from arkor.store.filelock import FileLock, file_lock
from arkor.store.paths import backend_path, credentials_path, ensure_home, home, journal_path


def test_the_argument_wins_then_the_variable_then_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == platformdirs.user_data_path("arkor")
    monkeypatch.setenv("ARKOR_HOME", "~/elsewhere")
    assert home() == tmp_path / "elsewhere"
    assert home(tmp_path / "given") == tmp_path / "given"
    monkeypatch.chdir(tmp_path)
    assert home("given") == tmp_path / "given"
    assert journal_path("given") == tmp_path / "given" / "arkor.db"
    assert credentials_path("given") == tmp_path / "given" / "credentials.json"
    assert backend_path("given") == tmp_path / "given" / "backend"
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_private_and_an_old_one_becomes_so_with_one_warning(tmp_path: Path) -> None:
    made = ensure_home(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    with pytest.warns(UserWarning, match=r"by others \(mode 0755\); it is 0700 now") as said:
        ensure_home(made)
    assert len(said) == 1
    assert ensure_home(made).stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_shared_by_intent_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert ensure_home(tmp_path).stat().st_mode & 0o7777 == 0o1777


def test_a_folder_that_holds_the_journal_alone_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("ARKOR_JOURNAL_URL", f"sqlite:///{tmp_path / 'runs.db'}")
    assert ensure_home(tmp_path).stat().st_mode & 0o777 == 0o755


def test_a_home_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="ARKOR_HOME") as caught:
        ensure_home(tmp_path / "file")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_lock_is_for_one_and_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = file_lock(path, timeout=0.01)
    message = r"lock is locked by process \d+ on .*waited 0.01 s"
    with file_lock(path, timeout=1), pytest.raises(ArkorError, match=message):
        lock.__enter__()
    with file_lock(path, timeout=0.01):
        pass
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_dead_holder_holds_nothing(tmp_path: Path, start: Callable[..., object]) -> None:
    program = """
import sys; from pathlib import Path
from arkor.store.filelock import file_lock
with file_lock(Path(sys.argv[1]), timeout=1):
    print("in", flush=True); sys.stdin.read()
"""
    path = tmp_path / "lock"
    lock = FileLock(path)
    with start(program, path) as child:
        assert child.stdout.readline() == "in\n"
        with pytest.raises(TimeoutError, match=f"process {child.pid} "):
            lock.acquire(0)
        child.kill()
    lock.acquire(5)
    lock.release()
    lock.close()
