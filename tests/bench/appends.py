"""Appending to the journal, beside plain sqlite3 with the same durability and the same bytes."""

import os
import sqlite3
import time
from pathlib import Path

from backend import data_of
from measure import Row, Size, beside, child

TITLE = "Appending to the journal"


def rows(size: Size) -> list[Row]:
    each, grouped = size.of(2000, 50), size.of(50_000, 500)
    found = []
    for group, count in ((1, each), (250, grouped)):
        subjects = {
            f"sqlite3, {group} a commit": child("appends:raw", count=count, group=group),
            f"arkor, {group} a commit": child("appends:arkor", count=count, group=group),
        }
        found += beside(subjects, "events/s", reference=next(iter(subjects)), rounds=size.rounds)
    return found


def raw(count: int, group: int) -> float:
    connection = sqlite3.connect(
        Path(os.environ["ARKOR_BENCH_FOLDER"]) / "raw.db", isolation_level=None
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE records (run TEXT, seq INTEGER, type TEXT, id TEXT, data TEXT, at REAL,"
        " PRIMARY KEY (run, seq)) WITHOUT ROWID"
    )
    run = "01M86Z5BBK0000000000000000"
    made = [(run, n, "training.log", str(n), data_of(n), 1.8e9) for n in range(1, count + 1)]
    began = time.perf_counter()
    for first in range(0, count, group):
        batch = made[first : first + group]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", batch)
        connection.execute("COMMIT")
    return count / (time.perf_counter() - began)


def arkor(count: int, group: int) -> float:
    from arkor.core.record import Entry

    writer, run_id = new_run()
    made = [Entry("stream", "training.log", data_of(n), str(n)) for n in range(1, count + 1)]
    began = time.perf_counter()
    for first in range(0, count, group):
        writer.append(run_id, made[first : first + group], epoch=1, durable=True)
    return count / (time.perf_counter() - began)


def new_run(name: str = "bench") -> tuple["Writer", str]:  # noqa: F821
    """A journal's writer, and a run in it."""
    from arkor.core.notes import SubmitRequested, entry_of
    from arkor.store.lease import current_owner
    from arkor.store.writer import NewRun, open_writer

    writer = open_writer()
    row = NewRun(name=name, project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
    place = (row.org_slug, row.project_slug, row.project_root)
    wish = SubmitRequested(name, {}, row.fingerprint, row.run_id, "local", *place)
    with writer.transaction(durable=True) as tx:
        return writer, tx.create_run(row, [entry_of(wish)], current_owner()).run_id


__all__ = ["TITLE", "arkor", "new_run", "raw", "rows"]
