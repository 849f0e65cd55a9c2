"""The server's life: killed, stopped, started twice, found again."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ROOT, SERVER, alive, until

from arkor.backend.lifecycle import status, stop
from arkor.errors import ArkorError


def kill(server) -> None:
    server.process.kill()
    server.process.wait()


def test_a_killed_server_goes_on_where_it_was(start, tmp_path) -> None:
    gate = tmp_path / "gate"
    gate.write_text("3")
    server = start()
    running, waiting = (server.submit(key=f"{n}", steps=6, gate=str(gate)) for n in (1, 2))
    server.wait_for(running, type="training.log", step=3)
    before = server.events_so_far(running)
    pid = server.pids(running)[0]
    kill(server)
    until(lambda: not alive(pid), "the training process outlived its server")

    again = start()
    assert (again.url, again.token) == (server.url, server.token)
    assert again.submit(key="1", steps=6, gate=str(gate)) == running
    gate.write_text("6")
    assert again.finished(running)["status"] == "completed"
    assert again.finished(waiting)["status"] == "completed"
    history = [event for event in again.events(running) if event.id]
    assert history[: len(before)] == before
    assert [event.id for event in history] == [str(n) for n in range(1, len(history) + 1)]
    data = [json.loads(event.data) for event in history]
    logged = [(event["type"], event.get("step"), event.get("evalLoss")) for event in data]
    assert len(set(logged)) == len(logged)
    assert [event["step"] for event in data if event.get("loss")] == [1, 2, 3, 4, 5, 6]
    # The second process went back to the checkpoint of step 2, so it said step 3 again.
    assert len(again.pids(running)) == 2


def test_an_old_training_process_is_outlived(start, tmp_path) -> None:
    server = start()
    job_id = server.submit(steps=1, gate="/nowhere")
    server.wait_for(job_id, type="training.started")
    pid = server.pids(job_id)[0]
    os.kill(pid, signal.SIGSTOP)  # it does not see that its parent has gone
    kill(server)
    again = start()
    until(lambda: again.job(job_id)["status"] == "running", "not running")
    assert again.pids(job_id) == [pid]
    os.kill(pid, signal.SIGCONT)
    until(lambda: len(again.pids(job_id)) == 2, "no new process")
    assert not alive(pid)


def test_a_cancel_is_not_forgotten(start) -> None:
    server = start(grace=600)
    job_id = server.submit(steps=1, gate="/nowhere", deaf=True)
    server.wait_for(job_id, type="training.started")
    server.cancel(job_id)
    kill(server)
    again = start()
    assert again.finished(job_id)["status"] == "cancelled"
    assert len(again.pids(job_id)) == 1


def test_a_stopped_server_saves_its_job_and_goes_on_later(start, tmp_path) -> None:
    gate = tmp_path / "gate"
    gate.write_text("3")
    server = start()
    job_id = server.submit(steps=5, gate=str(gate))
    server.wait_for(job_id, type="training.log", step=3)
    events = server.events(job_id)
    next(events)
    began = time.monotonic()
    assert stop(tmp_path) is True
    assert time.monotonic() - began < 3
    assert server.process.wait(1) == 0
    assert [event.name for event in events][-1] != "end"
    assert not alive(server.pids(job_id)[0])
    assert (server.folder(job_id) / "checkpoint").read_text() == "3"
    assert not (tmp_path / "backend" / "server.json").exists()

    again = start()
    assert again.job(job_id)["status"] == "running"
    gate.write_text("5")
    assert again.finished(job_id)["status"] == "completed"
    steps = [json.loads(event.data).get("step") for event in again.events(job_id) if event.id]
    assert sorted({step for step in steps if step}) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_in_good_order(start, number) -> None:
    server = start()
    server.process.send_signal(number)
    assert server.process.wait(10) == 0
    assert status(server.home) is None


def test_a_second_signal_hurries_it(start) -> None:
    server = start(grace=600)
    job_id = server.submit(steps=1, gate="/nowhere", deaf=True)
    server.wait_for(job_id, type="training.started")
    server.process.terminate()
    log = server.home / "backend" / "backend.log"
    until(lambda: "stopping on SIGTERM" in log.read_text(), "not stopping")
    server.process.terminate()
    assert server.process.wait(10) == 0
    assert not alive(server.pids(job_id)[0])


def test_files_are_for_their_owner_alone(start) -> None:
    server = start()
    server.finished(server.submit(steps=2))
    for path in [server.home / "backend", *(server.home / "backend").rglob("*")]:
        if server.folder("") in path.parents and path.name in ("checkpoint-2", "seen.json"):
            continue
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_status_and_stop_without_a_server(tmp_path) -> None:
    assert status(tmp_path) is None
    assert stop(tmp_path) is False


def test_status_describes_the_running_server(start) -> None:
    server = start()
    info = status(server.home)
    assert info is not None
    assert (info.url, info.token, info.pid) == (server.url, server.token, server.process.pid)
    assert server.token not in repr(info)
    said = json.loads((server.home / "backend" / "server.json").read_text())
    assert set(said) == {"url", "token", "pid", "version"}
    kill(server)
    assert status(server.home) is None
    assert stop(server.home) is False


def run_another(home: Path, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SERVER), str(home), json.dumps(options)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)


def test_the_second_server_of_a_folder_steps_back(start) -> None:
    server = start()
    second = run_another(server.home)
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert status(server.home) is not None


def test_a_start_during_a_stop_waits_for_its_end(start, tmp_path) -> None:
    server = start(grace=2)
    job_id = server.submit(steps=1, gate="/nowhere", deaf=True)
    server.wait_for(job_id, type="training.started")
    server.process.terminate()
    again = start(grace=0.1)
    assert server.process.wait(10) == 0
    assert again.process.pid != server.process.pid
    assert status(tmp_path) is not None


def test_the_last_port_is_given_up_if_it_is_taken(start) -> None:
    import socket

    server = start()
    port = int(server.url.rpartition(":")[2])
    assert server.end() == 0
    with socket.create_server(("127.0.0.1", port)):
        again = start()
        assert again.url != server.url
        assert again.token == server.token


def test_a_damaged_identity_is_named(start, tmp_path) -> None:
    from arkor.backend.folder import Folder
    from arkor.backend.lifecycle import identity

    folder = Folder(tmp_path / "backend")
    folder.create()
    folder.identity_file.write_text("{")
    with pytest.raises(ArkorError, match=r"identity\.json is damaged"):
        identity(folder)
