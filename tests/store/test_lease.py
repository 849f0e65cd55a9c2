"""One owner of a run: who may take it, and when."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from arkor.errors import RunOwnedError
from arkor.store.journal import Journal
from arkor.store.lease import LEASE_SECONDS, Adopt, Owner, current_owner
from arkor.store.owner import process_start
from arkor.store.schema import leases
from arkor.store.writer import Writer

DEAD = """
from arkor.store.writer import *; from arkor.store.lease import *; from pathlib import Path
import sys
with Writer(Path(sys.argv[1])).transaction(durable=True) as tx:
    epoch = tx.take_lease(sys.argv[2], current_owner(), adopt="idle")
print(epoch, flush=True)
sys.stdin.read()
"""

HERE = current_owner()
ELSEWHERE = replace(HERE, host="elsewhere", boot_id="another", pid_ns="pid:[1]")
CONTAINER = replace(HERE, pid_ns="pid:[1]", pid=1)


def take(writer: Writer, run: str, owner: Owner, *, adopt: Adopt) -> int:
    with writer.transaction(durable=True) as tx:
        return tx.take_lease(run, owner, adopt=adopt)


def own(writer: Writer, run: str, owner: Owner, **changes: object) -> None:
    """Give the run to `owner`, whatever the rules say."""
    with writer.transaction(durable=False) as tx:
        values = {"host": owner.host, "boot_id": owner.boot_id, "pid_ns": owner.pid_ns}
        values |= {"pid": owner.pid, "process_start": owner.process_start, **changes}
        tx.connection.execute(leases.update().values(**values))


def test_a_new_run_is_owned_by_who_made_it(writer: Writer, make_run: Callable[..., str]) -> None:
    before = time.time()
    run = make_run()
    lease = Journal(writer.path).lease(run)
    assert lease is not None
    assert (lease.run_id, lease.epoch, lease.state, lease.owner) == (run, 1, "active", HERE)
    assert lease.acquired_at >= before
    assert lease.expires_at == lease.acquired_at + LEASE_SECONDS
    assert Journal(writer.path).lease("NOPE") is None


@pytest.mark.parametrize("adopt", ["dead", "idle"])
def test_a_working_owner_keeps_its_run(
    writer: Writer, make_run: Callable[..., str], adopt: Adopt
) -> None:
    run = make_run()
    for taker in (HERE, replace(HERE, pid=os.getppid()), ELSEWHERE):
        with pytest.raises(RunOwnedError, match="arkor watch") as caught:
            take(writer, run, taker, adopt=adopt)
        assert (caught.value.host, caught.value.pid) == (HERE.host, HERE.pid)


def test_an_idle_run_is_given_up_on_request_only(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    writer.set_idle(run, 1)
    with pytest.raises(RunOwnedError, match="keeps run"):
        take(writer, run, HERE, adopt="dead")
    assert take(writer, run, HERE, adopt="idle") == 2
    writer.set_idle(run, 2)
    writer.set_active(run, 2)
    with pytest.raises(RunOwnedError, match="waits on run"):
        take(writer, run, HERE, adopt="idle")


def test_a_released_run_is_free(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    writer.release(run, 1)
    assert take(writer, run, ELSEWHERE, adopt="dead") == 2


def test_death_on_the_same_host_is_seen_at_once(
    writer: Writer, make_run: Callable[..., str], start: Callable[..., object]
) -> None:
    run = make_run()
    writer.set_idle(run, 1)
    child = start(DEAD, writer.path, run)
    with child:
        assert child.stdout.readline() == "2\n"
        with pytest.raises(RunOwnedError, match=f"process {child.pid} "):
            take(writer, run, HERE, adopt="dead")
        child.kill()
        # A killed process is dead before anybody has reaped it.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert take(writer, run, HERE, adopt="dead") == 3


def test_a_reused_pid_is_another_process(writer: Writer, make_run: Callable[..., str]) -> None:
    run = make_run()
    own(writer, run, replace(HERE, process_start="1"))
    assert take(writer, run, HERE, adopt="dead") == 2


def test_after_a_restart_of_the_machine_nobody_lives(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    own(writer, run, replace(HERE, boot_id="the boot before"))
    assert take(writer, run, HERE, adopt="dead") == 2


@pytest.mark.parametrize("owner", [ELSEWHERE, CONTAINER])
def test_another_host_is_believed_until_its_lease_runs_out(
    writer: Writer, make_run: Callable[..., str], owner: Owner
) -> None:
    run = make_run()
    own(writer, run, owner)
    with pytest.raises(RunOwnedError):
        take(writer, run, HERE, adopt="dead")
    own(writer, run, owner, expires_at=time.time() - 0.001)
    assert take(writer, run, HERE, adopt="dead") == 2


def test_a_stalled_owner_loses_its_run_unless_it_renews(
    writer: Writer, make_run: Callable[..., str]
) -> None:
    run = make_run()
    own(writer, run, HERE, expires_at=time.time() - 1)
    writer.renew(run, 1)
    with pytest.raises(RunOwnedError):
        take(writer, run, ELSEWHERE, adopt="dead")
    own(writer, run, HERE, expires_at=time.time() - 1)
    assert take(writer, run, ELSEWHERE, adopt="dead") == 2
    with pytest.raises(RunOwnedError, match="taken over by process"):
        writer.renew(run, 1)


def test_an_owner_knows_itself_and_no_dead_process() -> None:
    assert current_owner() == HERE
    assert HERE.alive(HERE) is True
    assert HERE.alive(replace(HERE, pid=2**22 + 1)) is False
    assert HERE.alive(ELSEWHERE) is None
    assert process_start(os.getpid()) == HERE.process_start


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_is_another_owner() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"yes" if current_owner().pid == os.getpid() != HERE.pid else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 3) == b"yes"
    os.close(reading)
    os.close(writing)
