"""docs/evidence.md is true: its programs need no Arkor, and find what was changed."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from arkor.core.record import Entry
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.writer import NewRun, Writer

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "evidence.md").read_text()
OF_JOURNAL, OF_EXPORT = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)

ENTRIES = [
    Entry("stream", "training.log", '{"step": 1, "loss": 0.5}', "1"),
    Entry("stream", "", "", ""),
    Entry("stream", "größer", "日本 \x00 \u2028\n end", None),
    Entry("local", "arkor.x", "{}"),
    Entry("stream", "training.completed", "{}", "5"),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with two runs of five records, closed."""
    path = tmp_path / "store" / "evidence.db"
    path.parent.mkdir(mode=0o700)
    writer = Writer(path)
    for name in ("first", "second"):
        row = NewRun(name=name, project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
        with writer.transaction(durable=True) as tx:
            tx.create_run(row, ENTRIES, current_owner())
    writer.close()
    return path


@pytest.fixture
def anchors(journal: Path) -> Path:
    """An anchor in the middle of each run, and one at its end."""
    book = Journal(journal)
    lines = [
        f"arkor-anchor v1 {record.run_id} {record.seq} {record.digest.hex()} {record.recorded_at}\n"
        for row in book.runs()
        for record in book.records(row.run_id)
        if record.seq in (3, 5)
    ]
    book.close()
    file = journal.parents[1] / "anchors.txt"
    file.write_text("".join(lines))
    return file


def said(program: str, file: Path, anchors: Path) -> list[tuple[str, str]]:
    """The seq and the verdict of each anchor. Nothing but Python's own library is there."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(file), str(anchors)],
        cwd=anchors.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return [(seq, verdict) for _, seq, verdict in lines]


WHOLE, WRONG = "is as it was anchored", "IS NOT AS IT WAS ANCHORED"


def test_it_is_ten_lines() -> None:
    lines = [line for line in OF_JOURNAL.partition("\ndb = ")[2].splitlines() if line]
    assert len(lines) == 10


def test_an_untouched_journal_is_as_it_was_anchored(journal: Path, anchors: Path) -> None:
    assert said(OF_JOURNAL, journal, anchors) == 2 * [("3", WHOLE), ("5", WHOLE)]


@pytest.mark.parametrize(
    ("change", "middle", "end"),
    [
        ("UPDATE records SET data = '{}' WHERE seq = 1", WRONG, WRONG),
        ("UPDATE records SET recorded_at = recorded_at + 1 WHERE seq = 4", WHOLE, WRONG),
        ("UPDATE records SET sse_id = NULL WHERE seq = 2", WRONG, WRONG),
        ("DELETE FROM records WHERE seq = 5", WHOLE, WRONG),
        (
            "UPDATE records SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq > 3",
            WHOLE,
            WRONG,
        ),
        ("UPDATE records SET run = run - 3 WHERE seq = 1", WRONG, WRONG),
        ("UPDATE runs SET run_id = run_id || 'X'", WRONG, WRONG),
    ],
)
def test_a_change_is_found(
    journal: Path, anchors: Path, change: str, middle: str, end: str
) -> None:
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(change)
    connection.execute("UPDATE records SET seq = abs(seq), run = abs(run) WHERE seq < 0 OR run < 0")
    connection.commit()
    connection.close()
    assert said(OF_JOURNAL, journal, anchors) == 2 * [("3", middle), ("5", end)]


def arkor(journal: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "arkor", "--journal", str(journal), *arguments],
        cwd=journal.parent,
        env={"PATH": "/usr/bin:/bin", "HOME": str(journal.parents[1]), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )


def test_the_commands_that_it_names_say_the_same(journal: Path, anchors: Path) -> None:
    printed = b"".join(
        arkor(journal, "anchor", row.run_id).stdout for row in Journal(journal).runs()
    )
    assert printed.decode().splitlines() == anchors.read_text().splitlines()[1::2]
    verify = ("verify", "--head", f"@{anchors}")
    assert arkor(journal, *verify).returncode == 0
    connection = sqlite3.connect(journal)
    connection.execute("DELETE FROM records WHERE seq = 5")
    connection.commit()
    connection.close()
    assert arkor(journal, *verify).returncode == 1


def test_an_export_is_checked_in_the_same_way(journal: Path, anchors: Path) -> None:
    lines = anchors.read_text().splitlines()
    run_id = lines[0].split()[2]
    anchors.write_text("\n".join(lines[:2]) + "\n")
    done = arkor(journal, "export", run_id)
    assert done.returncode == 0, done.stderr
    file = anchors.with_name("run.jsonl")
    file.write_bytes(done.stdout)
    assert said(OF_EXPORT, file, anchors) == [("3", WHOLE), ("5", WHOLE)]

    file.write_bytes(done.stdout.replace(b"local", b"stream"))
    assert said(OF_EXPORT, file, anchors) == [("3", WHOLE), ("5", WRONG)]
