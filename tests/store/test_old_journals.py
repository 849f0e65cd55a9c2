"""Journals of earlier schemas: opened by this release, they hold what they held."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from arkor.store.journal import Journal
from arkor.store.migrate import migrations_folder, upgrade
from arkor.store.salvage import salvage
from arkor.store.sqlite import open_writing, transaction
from arkor.store.writer import Writer

HISTORIES = Path(__file__).parents[1] / "histories"
NAMES = ("0.1.0-completed", "0.1.0-resumed", "0.1.0-cancelled")
RUN = (
    "INSERT INTO runs VALUES (NULL, ?, 'triage', NULL, '/home/ada/triage', 'o', 'p', 'f', NULL,"
    " '2026-11-24T10:00:00.000000Z', 'completed', 1)"
)
RECORD = (
    "INSERT INTO records VALUES ((SELECT max(id) FROM runs), :seq, :source, :type, :sse_id, :data,"
    " :recorded_at, :digest)"
)


def history(name: str) -> list[dict[str, Any]]:
    rows = json.loads((HISTORIES / f"{name}.log.json").read_text())
    digests = ("prev_digest", "digest")
    return [{**row, **{key: bytes.fromhex(row[key]) for key in digests}} for row in rows]


@pytest.fixture
def first_schema(tmp_path: Path) -> Path:
    """A journal of schema 0001 with the histories in it, closed."""
    migrations = Path(shutil.copytree(migrations_folder(), tmp_path / "migrations"))
    for later in (migrations / "versions").glob("000[2-9]*"):
        later.unlink()
    path = tmp_path / "store" / "arkor.db"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    connection = open_writing(path)
    with transaction(connection):
        upgrade(connection, migrations)
    connection.close()
    old = sqlite3.connect(path)
    for name in NAMES:
        rows = history(name)
        old.execute(RUN, (rows[0]["run_id"],))
        old.executemany(RECORD, rows)
    old.commit()
    old.execute("PRAGMA journal_mode=wal")
    old.close()
    return path


def told(path: Path) -> list[list[dict[str, Any]]]:
    journal = Journal(path)
    runs = [row.run_id for row in journal.runs()]
    names = (
        "run_id",
        "seq",
        "source",
        "type",
        "sse_id",
        "data",
        "recorded_at",
        "prev_digest",
        "digest",
    )
    return [
        [{name: getattr(record, name) for name in names} for record in journal.records(run)]
        for run in reversed(runs)
    ]


def test_every_record_of_the_first_schema_is_there_word_for_word(first_schema: Path) -> None:
    expected = [history(name) for name in NAMES]
    before = first_schema.read_bytes()
    assert told(first_schema) == expected  # a reader looks at a copy
    assert first_schema.read_bytes() == before
    assert len(Writer(first_schema).salt) == 32  # a writer migrates the file
    assert told(first_schema) == expected
    assert first_schema.with_name("arkor.db.0001").exists()


def test_threads_that_read_old_journals_do_not_meet(first_schema: Path) -> None:
    # Each migrates a copy of its own, at the same time.
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda path: len(Journal(path).runs()), [first_schema] * 8))
    assert runs == [len(NAMES)] * 8


def test_a_journal_of_the_first_schema_is_salvaged(first_schema: Path, tmp_path: Path) -> None:
    report = salvage(first_schema, tmp_path / "saved.db")
    assert report.whole
    assert told(tmp_path / "saved.db") == [history(name) for name in NAMES]
    assert all(row.status for row in Journal(tmp_path / "saved.db").runs())


def test_damage_to_the_first_schema_is_named(first_schema: Path, tmp_path: Path) -> None:
    file = first_schema.read_bytes()
    changed = file.replace(b'"loss"', b'"lost"', 1)
    assert changed != file
    first_schema.write_bytes(changed)
    report = salvage(first_schema, tmp_path / "saved.db")
    assert not report.whole
    recorded = {row["digest"]: row["data"] for name in NAMES for row in history(name)}
    saved = [row for records in told(tmp_path / "saved.db") for row in records]
    assert len(saved) == len(recorded) - 1
    assert all(recorded[row["digest"]] == row["data"] for row in saved)
