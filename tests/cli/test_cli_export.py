"""`arkor export` and `arkor import`: to a file, to a pipe, and back."""

import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet
import pytest
from cli_runs import stream, write_run

from arkor.cli.export import Format
from arkor.core.record import Entry
from arkor.store.exporting import FORMATS
from arkor.store.journal import open_journal
from arkor.store.writer import open_writer

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run_id(home: Path, folder: Path) -> str:
    log = stream("training.log", step=5, loss=0.5)
    return write_run(home, folder, "alpha", log, Entry("stream", "odd", "a\u2028\x00=1 é"))


def test_the_command_knows_every_format() -> None:
    assert [*Format] == [*FORMATS]


def test_json_lines_go_to_standard_output(here: Arkor, run_id: str) -> None:
    done = here("export", "@last")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1, 2, 3, 4]
    assert done.stdout.encode() == b"".join(open_journal().export(run_id))


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_private_and_whole(here: Arkor, folder: Path, run_id: str, format: str) -> None:
    (folder / "out").write_text("of an earlier day")
    done = here("export", run_id, "--format", format, "-o", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote out\n")
    written = folder / "out"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert os.listdir(folder) == ["out"]
    content = written.read_bytes()
    if format == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 4
    elif format == "csv":
        assert len(list(csv.reader(io.StringIO(content.decode(), newline="")))) == 5
    else:
        assert len(content.splitlines()) == 4


def test_a_file_that_cannot_be_written_is_said_so(here: Arkor, folder: Path, run_id: str) -> None:
    done = here("export", run_id, "-o", "nowhere/out")
    assert done.returncode == 4
    assert "there is no such folder: nowhere" in done.stderr
    assert os.listdir(folder) == []


def test_a_device_is_written_to_and_not_replaced(here: Arkor, run_id: str) -> None:
    assert here("export", run_id, "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_an_export_that_fails_leaves_what_was_there(
    here: Arkor, home: Path, folder: Path, run_id: str
) -> None:
    (folder / "out").write_text("of an earlier day")
    with open_writer(home).transaction(durable=True) as tx:
        tx.connection.exec_driver_sql("UPDATE records SET data = x'00' WHERE seq = 3")
    done = here("export", run_id, "-o", "out")
    assert done.returncode == 4
    assert "record 3" in done.stderr
    assert os.listdir(folder) == ["out"]
    assert (folder / "out").read_text() == "of an earlier day"


def test_parquet_is_not_for_a_terminal(environ: dict[str, str], folder: Path, run_id: str) -> None:
    master, terminal = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "arkor", "export", run_id, "--format", "parquet"],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(master)
    assert done.returncode == 2
    assert "-o FILE" in done.stderr


def test_who_stops_reading_ends_it_quietly(
    environ: dict[str, str], home: Path, folder: Path, run_id: str
) -> None:
    big = Entry("stream", "big", "x" * 1_000_000)
    open_writer(home).append(run_id, [big] * 4, epoch=None, durable=False)
    command = f"{sys.executable} -m arkor export {run_id} | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, '{"runId":"', "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("export", "none"), 1, "no run or job"),
        (("export", "@last", "--format", "xlsx"), 2, "xlsx"),
        (("import", "none.jsonl"), 4, "No such file"),
        (("import", "."), 4, "Is a directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    here: Arkor, run_id: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def elsewhere(tmp_path: Path) -> dict[str, str]:
    return {"ARKOR_HOME": str(tmp_path / "elsewhere")}


def test_a_run_is_imported_with_its_head(
    arkor: Arkor, folder: Path, tmp_path: Path, run_id: str
) -> None:
    head = open_journal().run(run_id).head.hex()
    assert arkor("export", run_id, "-o", "run.jsonl").returncode == 0
    done = arkor("import", "run.jsonl", **elsewhere(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Imported run {run_id}: 4 records, head {head}\n"
    checked = arkor("verify", "@last", "--head", head, **elsewhere(tmp_path))
    assert checked.returncode == 0, checked.stdout
    again: Any = json.loads(arkor("import", "run.jsonl", "--json", **elsewhere(tmp_path)).stdout)
    assert again == {"runId": run_id, "records": 4, "head": head, "outcome": "already"}
    assert arkor("import", "run.jsonl").stdout.startswith("The journal already has run")


def test_a_pipe_is_imported_as_well(
    environ: dict[str, str], folder: Path, tmp_path: Path, run_id: str
) -> None:
    program = f"{sys.executable} -m arkor"
    command = f"{program} export {run_id} | ARKOR_HOME={tmp_path}/elsewhere {program} import -"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Imported run {run_id}: 4 records")
    assert list(open_journal(tmp_path / "elsewhere").records(run_id)) == list(
        open_journal().records(run_id)
    )


def test_a_file_that_was_edited_is_refused(here: Arkor, folder: Path, run_id: str) -> None:
    written = b"".join(open_journal().export(run_id))
    changed = written.replace(b"0.5}", b"0.4}")
    assert changed != written
    (folder / "run.jsonl").write_bytes(changed)
    done = here("import", "run.jsonl")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: run.jsonl cannot be imported: line 3, which must be")
    assert len(done.stderr.splitlines()) == 1
