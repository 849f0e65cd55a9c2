"""docs/sql.md is true: its views, its columns and its queries, in every program that it names."""

import json
import math
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert

from arkor.core.notes import (
    CallbackCompleted,
    CallbackFailed,
    Note,
    Resumed,
    StepCompleted,
    StreamClosed,
    StreamGap,
    StreamOpened,
    SubmitRequested,
    Submitted,
    entry_of,
)
from arkor.core.record import Entry
from arkor.store.database import WriteDoor
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.store.migrate import migrations_folder
from arkor.store.moment import rfc3339
from arkor.store.schema import pruned, records, runs
from arkor.store.writer import NewRun, Writer

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
QUERIES = dict(re.findall(r"^### \d+\. ([^\n]+)\n\n```sql\n(.*?);\n```$", PAGE, re.M | re.S))
VIEWS = ("v_runs", "v_events", "v_metrics", "v_deliveries", "v_steps")

A, B, C = (f"01{letter * 24}" for letter in "ABC")
START = 1_764_000_000_000_000
"""2025-11-24T16:00:00Z."""

Ask = Callable[..., list[tuple[Any, ...]]]


def text(seconds: float) -> str:
    return rfc3339(START + int(seconds * 1_000_000))


def wish(name: str, commit: str, *, dirty: bool, user: str) -> SubmitRequested:
    return SubmitRequested(
        name=name,
        config={"model": "arkor/tiny"},
        fingerprint="f",
        idempotency_key=name,
        base_url="local",
        org_slug="o",
        project_slug="p",
        project_root="/p",
        provenance={
            "user": user,
            "host": "ada.example",
            "pid": 41,
            "git": {"commit": commit, "dirty": dirty},
        },
    )


def event(type: str, id: int | None = None, **fields: Any) -> Entry:
    data = json.dumps({"type": type, **fields})
    return Entry("stream", type, data, None if id is None else str(id))


def job(id: str, name: str) -> dict[str, Any]:
    return {
        "id": id,
        "orgId": "o",
        "projectId": "p",
        "name": name,
        "status": "queued",
        "createdAt": text(0),
    }


class Story:
    """A run whose records have the times they are told at."""

    def __init__(self, writer: Writer, run_id: str, first: SubmitRequested) -> None:
        self.writer, self.run_id = writer, run_id
        row = NewRun(
            run_id=run_id,
            name=first.name,
            project_root="/p",
            org_slug="o",
            project_slug="p",
            fingerprint="f",
        )
        with writer.transaction(durable=False) as tx:
            tx.recorded_at = text(0)
            tx.create_run(row, [entry_of(first)], current_owner())

    def tell(self, at: float, *told: Entry | Note, **index: object) -> None:
        entries = [each if isinstance(each, Entry) else entry_of(each) for each in told]
        with self.writer.transaction(durable=False) as tx:
            tx.recorded_at = text(at)
            tx.append(self.run_id, entries, epoch=1, index=index)


def tell_first(writer: Writer) -> None:
    """Completed, after a reconnection, a gap and a call that raised."""
    run = Story(writer, A, wish("first", "c1", dirty=False, user="ada"))
    run.tell(1, Submitted(job("job-a", "first")), job_id="job-a", status="queued")
    run.tell(2, StreamOpened())
    run.tell(3, event("training.started", 1), event("training.log", 2, step=10, loss=2.0))
    run.tell(4, StreamClosed("read timeout", events=2, failures=1))
    run.tell(5.5, StreamOpened("2"), StreamGap("2", "4"))  # records 7 and 8
    run.tell(6, event("training.log", 4, step=20, loss=1.5, evalLoss=1.6, epoch=0.5))
    run.tell(7, CallbackCompleted("main", 4, "on_started", seconds=0.25))
    run.tell(8, CallbackFailed("main", 5, "on_log", 1, "ValueError: boom"))
    infer = StepCompleted("main", 5, "on_log", "infer", "infer:1", "d", {"text": "hi"}, 1)
    run.tell(9, infer, CallbackCompleted("main", 5, "on_log", attempt=2, seconds=1.5))
    run.tell(10, CallbackCompleted("main", 9, "on_log", seconds=0.5))
    run.tell(90.5, event("training.completed", 5), status="completed")
    run.tell(91, CallbackCompleted("main", 15), settled=True)
    with writer.transaction(durable=False) as tx:
        tx.release(A, 1)


def tell_second(writer: Writer) -> None:
    """Failed, under another owner than it began with."""
    run = Story(writer, B, wish("second", "c2", dirty=True, user="ada"))
    run.tell(1, Submitted(job("job-b", "second")), job_id="job-b", status="queued")
    run.tell(2, StreamOpened(), event("training.log", 1, step=10, loss=1.5, learningRate=0.25))
    bob = {"user": "bob", "host": "bob.example", "pid": 42}
    run.tell(3, Resumed(epoch=2, clean=False, provenance=bob))
    run.tell(4, event("training.log", 2, step=20, loss=1.25), event("training.log", 3, step=30))
    fault = {"type": "Busy", "message": "not now"}
    once = StepCompleted("main", 5, "on_log", "once", "mail", "d", None, 2, fault)
    run.tell(5, StepCompleted("main", 5, "on_log", "once", "ask", "d", True, 1), once)
    run.tell(6, CallbackFailed("main", 5, "on_log", 1, "stopped", interrupted=True))
    run.tell(30.25, event("training.failed", 4, error="out of memory"), status="failed")


def tell_third(writer: Writer) -> None:
    """Pruned."""
    Story(writer, C, wish("third", "c2", dirty=False, user="ada"))
    with writer.transaction(durable=False) as tx:
        tx.connection.execute(delete(records).where(records.c.run == 3))
        left = {"records": 9, "head": b"\xab" * 32, "archive": "/a/C.zst", "archive_sha256": "ef"}
        tx.connection.execute(insert(pruned).values(run=3, pruned_at=text(99), **left))
        tx.connection.execute(runs.update().where(runs.c.id == 3).values(status="cancelled"))


@pytest.fixture
def path(writer: Writer) -> Iterator[Path]:
    """The journal that the page is asked of; its owner keeps it open."""
    tell_first(writer)
    tell_second(writer)
    tell_third(writer)
    yield writer.path
    writer.close()


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "The last loss of each run": [("first", A, 20, 1.5), ("second", B, 20, 1.25)],
    "The slowest callbacks": [
        ("main", "on_log", 2, 2.0, 1.5),
        ("main", "on_started", 1, 0.25, 0.25),
    ],
    "Runs that needed more than one connection": [(A, 2, 1, "read timeout")],
    "Events that never came": [(A, 8, text(5.5), "2", "4")],
    "Calls that took more than one attempt": [(A, "main", "on_log", 5, 2, "ValueError: boom")],
    "What each run cost in time": [(A, "first", "completed", 90.5), (B, "second", "failed", 30.3)],
    "Two runs at the same step": [(10, 2.0, 1.5, -0.5), (20, 1.5, 1.25, -0.25)],
    "Runs by git commit": [("c1", 0, 1, 1), ("c2", 1, 1, 0)],
    "What the callbacks did, and need not do again": [
        (A, 5, "on_log", "infer", "infer:1", '{"text":"hi"}'),
        (B, 5, "on_log", "once", "ask", "true"),
        (B, 5, "on_log", "once", "mail", '{"type":"Busy","message":"not now"}'),
    ],
    "Who started a run, and who took it over": [
        (A, text(0), "arkor.submit.requested", 1, "ada", "ada.example", 41),
        (B, text(0), "arkor.submit.requested", 1, "ada", "ada.example", 41),
        (B, text(3), "arkor.resumed", 2, "bob", "bob.example", 42),
    ],
}
GIVEN = {"a": A, "b": B}


def given(query: str) -> dict[str, str]:
    return {name: value for name, value in GIVEN.items() if f":{name}" in query}


def test_the_page_has_ten_queries() -> None:
    assert list(QUERIES) == list(ANSWERS)
    assert len(QUERIES) == 10


@pytest.mark.parametrize("title", ANSWERS)
def test_a_query_answers_in_python(path: Path, title: str) -> None:
    with closing(reading(path)) as connection:
        assert (
            connection.execute(QUERIES[title], given(QUERIES[title])).fetchall() == ANSWERS[title]
        )


def test_the_queries_answer_in_sqlite3(path: Path, need: Any) -> None:
    need(shutil.which("sqlite3"), "sqlite3(1): apt-get install sqlite3")
    for title, query in QUERIES.items():
        parameters = [f".parameter set :{name} {value!r}" for name, value in given(query).items()]
        done = subprocess.run(
            ["sqlite3", "-readonly", "-json", path],
            input="\n".join((*parameters, f"{query};")),
            capture_output=True,
            text=True,
            check=True,
        )
        assert [tuple(row.values()) for row in json.loads(done.stdout)] == ANSWERS[title], title


def test_the_queries_answer_in_duckdb(path: Path, duckdb: Ask) -> None:
    for title, query in QUERIES.items():
        values = ", ".join(f"'{value}'" for value in given(query).values())
        params = f", params = row({values})" if values else ""
        rows = duckdb(f"SELECT * FROM sqlite_query('journal', $$ {query} $$ {params})")
        assert rows == [tuple(map(as_text, row)) for row in ANSWERS[title]], title


def test_duckdb_sees_the_same_in_every_view(path: Path, duckdb: Ask) -> None:
    with closing(reading(path)) as connection:
        for view in VIEWS:
            rows = connection.execute(f"SELECT * FROM {view}").fetchall()
            assert rows
            assert duckdb(f"FROM journal.{view}") == [tuple(map(as_text, row)) for row in rows]


def test_what_the_page_says_of_duckdb_holds(path: Path, duckdb: Ask) -> None:
    (statements,) = re.findall(r"```sql\nATTACH .*?;\n\n(.*?)```", PAGE, re.S)
    make, ask = statements.split(";\n\n")
    duckdb(make)
    assert duckdb(ask) == [(A, 1.5, 20), (B, 1.25, 20)]
    (ask,) = re.findall(r"^SELECT \* FROM sqlite_query.*$", PAGE, re.M)
    assert duckdb(ask.replace("01J…", A)) == [("10", "2.0"), ("20", "1.5")]
    assert duckdb("SHOW ALL TABLES")


def test_the_queries_answer_in_datasette(path: Path, datasette: httpx.Client) -> None:
    for title, query in QUERIES.items():
        answer = datasette.get("/arkor.json", params={"sql": query, **given(query)})
        assert answer.status_code == 200, answer.text
        assert [tuple(row) for row in answer.json()["rows"]] == ANSWERS[title], title
    for view in VIEWS:
        assert view in datasette.get(f"/arkor/{view}").raise_for_status().text


def test_the_page_names_every_column(path: Path) -> None:
    sections = dict(re.findall(r"^### (v_\w+)\n(.*?)(?=^#)", PAGE, re.M | re.S))
    with closing(reading(path)) as connection:
        for view in VIEWS:
            rows = re.findall(r"^\| (`.*?`) \|", sections[view], re.M)
            named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
            assert sorted(named) == sorted(columns_of(connection, view)), view
    assert tuple(sections) == VIEWS


def test_the_page_recomputes_the_chain(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    monkeypatch.chdir(path.parent)
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    namespace["journal"].close()
    heads = {run: digest.hex() for run, digest in namespace["heads"].items()}
    with closing(reading(path)) as connection:
        assert dict(connection.execute("SELECT run_id, head FROM v_runs WHERE records < 9")) == {}
        told = dict(connection.execute("SELECT run_id, head FROM v_runs WHERE pruned_at IS NULL"))
    assert heads == told == {run: Journal(path).run(run).head.hex() for run in (A, B)}


def test_the_chain_breaks_where_a_record_was_changed(
    path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    monkeypatch.chdir(path.parent)
    writer.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE records SET data = replace(data, '2.0', '1.0')")
    namespace: dict[str, Any] = {}
    with pytest.raises(AssertionError, match=f"run {A}: record 5 is not"):
        exec(program, namespace)
    namespace["journal"].close()


def test_a_run_is_shown_with_its_end_its_size_and_its_origin(path: Path) -> None:
    first, second, third = (row(path, "v_runs", run_id=run) for run in (A, B, C))
    assert first["ended_at"] == text(90.5)
    assert (first["status"], first["settled"], first["records"]) == ("completed", 1, 16)
    assert (first["backend"], first["model"]) == ("local", "arkor/tiny")
    assert (first["git_commit"], first["git_dirty"]) == ("c1", 0)
    assert (first["owner_state"], first["owner_pid"], first["lease_expires_at"]) == (None,) * 3
    assert (second["git_dirty"], second["owner_state"]) == (1, "active")
    assert second["owner_pid"] == current_owner().pid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", second["lease_expires_at"])
    assert (third["records"], third["head"], third["ended_at"]) == (9, "ab" * 32, None)
    assert (third["pruned_at"], third["archive"]) == (text(99), "/a/C.zst")


def test_an_event_is_shown_word_for_word(path: Path) -> None:
    with closing(reading(path)) as connection:
        names = "seq, source, type, sse_id, data, recorded_at, digest"
        rows = connection.execute(f"SELECT {names} FROM v_events WHERE run_id = ?", (A,)).fetchall()
    assert rows == [
        (r.seq, r.source, r.type, r.sse_id, r.data, r.recorded_at, r.digest.hex())
        for r in Journal(path).records(A)
    ]


HOSTILE = (
    "nope",
    "",
    "[]",
    "null",
    '"step"',
    "{step:1}",
    '{"step":NaN}',
    '{"step":1e400}',
    '{"step":1.5}',
    '{"step":true}',
    '{"step":"1"}',
    '{"step":{"a":1}}',
    '{"step":100000000000000000000000000000}',
    '{"step":1}\0{"step":2}',
    '{"step":1,"jobId":"another"}',
    "[" * 100_000,
    "[" * 900 + "]" * 900,
    '{"consumer":[],"record":{},"attempt":"x","seconds":[1],"error":{"a":[]}}',
)

GOOD = '{"step":7.0,"loss":1e309,"jobId":"job-a","epoch":"x"}'


@pytest.fixture
def hostile(writer: Writer) -> Path:
    """Every hostile text as a record of every type, a blob, and one good event."""
    run = Story(writer, A, wish("hostile", "c", dirty=False, user="eve"))
    run.tell(1, Submitted(job("job-a", "hostile")), job_id="job-a", status="completed")
    for kind in ("training.log", "training.completed"):
        run.tell(2, *(Entry("stream", kind, data) for data in HOSTILE))
    for note in (CallbackCompleted, CallbackFailed, StepCompleted, Resumed):
        run.tell(3, *(Entry("local", note.TYPE, data) for data in HOSTILE))
    run.tell(4, Entry("stream", "training.log", "a blob"))
    run.tell(5, Entry("stream", "training.log", GOOD))
    with writer.transaction(durable=False) as tx:
        blob = records.update().where(records.c.data == "a blob")
        tx.connection.execute(blob.values(data=sqlite3.Binary(b"\xff\x00{")))
    writer.close()
    return writer.path


def test_no_content_makes_a_view_fail(hostile: Path) -> None:
    with closing(reading(hostile)) as connection:
        shown = {view: connection.execute(f"SELECT * FROM {view}").fetchall() for view in VIEWS}
    every = 2 + len(HOSTILE) * 6 + 2
    assert len(shown["v_events"]) == every
    assert shown["v_metrics"] == [(A, every, text(5), 7, None, math.inf, None, None, None)]
    assert [row[2] for row in shown["v_runs"]] == ["job-a"]


def test_no_content_makes_a_query_of_the_page_fail(hostile: Path) -> None:
    with closing(reading(hostile)) as connection:
        for query in QUERIES.values():
            connection.execute(query, given(query)).fetchall()


@pytest.mark.parametrize("view", VIEWS)
def test_a_run_is_found_by_its_key(path: Path, view: str) -> None:
    seq = "" if view == "v_runs" else "AND seq > 5"
    with closing(reading(path)) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE run_id = ? {seq}", (A,)
        )
        steps = [detail for *_, detail in plan]
    assert not [step for step in steps if step.startswith("SCAN") or "AUTOMATIC" in step]
    searched = "PRIMARY KEY (run=?" + (" AND seq>?)" if seq else ")")
    assert [step for step in steps if step.startswith("SEARCH records") and searched in step]


def test_a_journal_of_the_first_schema_gets_the_views(tmp_path: Path) -> None:
    migrations = Path(shutil.copytree(migrations_folder(), tmp_path / "migrations"))
    for later in (migrations / "versions").glob("000[2-9]*"):
        later.unlink()
    path = tmp_path / "store" / "arkor.db"
    first = WriteDoor(path, migrations=migrations)
    with first.transaction(durable=True) as connection:
        place = "'first', 'job-a', '/p', 'o', 'p', 'f', NULL"
        connection.exec_driver_sql(
            f"INSERT INTO runs VALUES (7, '{A}', {place}, '{text(0)}', 'running', 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO records VALUES (7, 1, 'stream', 'training.log', '1', ?, ?, ?)",
            ('{"step":3}', text(1.25), b"\xcd" * 32),
        )
    first.close()
    assert row(path, "records", run=7)["type"] == "training.log"
    writer = Writer(path)
    with writer.transaction(durable=True):
        pass
    writer.close()
    assert row(path, "v_metrics", run_id=A)["step"] == 3
    shown = row(path, "v_events", run_id=A)
    assert (shown["recorded_at"], shown["type"]) == (text(1.25), "training.log")
    assert shown["digest"] == row(path, "v_runs", run_id=A)["head"] == "cd" * 32


def reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def row(path: Path, view: str, **equal: object) -> dict[str, Any]:
    ((name, value),) = equal.items()
    with closing(reading(path)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(
            connection.execute(f"SELECT * FROM {view} WHERE {name} = ?", (value,)).fetchone()
        )


def columns_of(connection: sqlite3.Connection, view: str) -> list[str]:
    return [name for _, name, *_ in connection.execute(f"PRAGMA table_info({view})")]


def as_text(value: object) -> str | None:
    """A value as DuckDB has it from SQLite."""
    return None if value is None else str(value)


@pytest.fixture(name="duckdb")
def ask_duckdb(path: Path, tmp_path: Path, need: Any) -> Iterator[Ask]:
    """Asks DuckDB, which has attached the journal as the page says."""
    need(find_spec("duckdb_extension_sqlite_scanner"), "DuckDB: pip install 'arkor[dev]'")
    import duckdb
    import duckdb_extensions

    (attach,) = re.findall(r"^ATTACH 'arkor.db' .*$", PAGE, re.M)
    place = {"extension_directory": str(tmp_path / "extensions")}
    with duckdb.connect(config=place) as connection:
        duckdb_extensions.import_extension("sqlite_scanner", con=connection)
        connection.execute(attach.replace("arkor.db", str(path)))
        yield lambda query: connection.execute(query).fetchall()


@pytest.fixture(name="datasette")
def serve_datasette(path: Path, need: Any) -> Iterator[httpx.Client]:
    """Datasette, started as the page says."""
    need(find_spec("datasette"), "Datasette: pip install 'arkor[dev]'")
    command = [sys.executable, "-m", "datasette", path, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            said = next(line for line in process.stderr if "running on" in line)
            with httpx.Client(base_url=re.findall(r"http://[\d.:]+", said)[0]) as client:
                yield client
        finally:
            process.terminate()
