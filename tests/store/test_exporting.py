"""A run's log in every format, read back by somebody else's reader."""

import csv
import io
import json
import re
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from arkor.core.lines import read_line
from arkor.core.record import Entry, Record
from arkor.errors import ConfigError, NoSuchRunError
from arkor.store.exporting import FORMATS
from arkor.store.journal import Journal, open_journal
from arkor.store.lease import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import Writer, open_writer

ODD = [
    Entry("stream", "training.log", '{"type":"training.log","step":1,"loss":0.5}', "1"),
    Entry("stream", "gpu.hot", 'not JSON,\n"of" two\r\nlines\u2028', None),
    Entry("stream", "=cmd()", "=1+1", "-1"),
    Entry("stream", "nul", "a\x00b", ""),
    Entry("stream", "日本", "🦊\ufeff", "é"),
    Entry("stream", "surrogate", "a\ud800b", "\udfff"),
]

Make = Callable[..., str]


@pytest.fixture
def run(writer: Writer, make_run: Make) -> str:
    run = make_run()
    writer.append(run, ODD, epoch=1, durable=True)
    return run


def whole(writer: Writer, run: str, format: str) -> tuple[list[Record], bytes]:
    journal = Journal(writer.path)
    return list(journal.records(run)), b"".join(journal.export(run, format))


def test_json_lines_are_the_records(writer: Writer, run: str) -> None:
    records, written = whole(writer, run, "jsonl")
    read = [read_line(line) for line in written.splitlines(keepends=True)]
    assert [(r.seq, r.type, r.sse_id, r.data, r.recorded_at, r.digest) for r in read] == [
        (r.seq, r.type, r.sse_id, r.data, r.recorded_at, r.digest) for r in records
    ]


def test_csv_is_read_by_the_csv_module(writer: Writer, run: str) -> None:
    records, written = whole(writer, run, "csv")
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    assert [int(row["seq"]) for row in rows] == [record.seq for record in records]
    assert [row["data"].removeprefix("'") for row in rows] == [record.data for record in records]
    assert [row["type"] for row in rows][3] == "'=cmd()"


def test_parquet_is_read_by_pyarrow(writer: Writer, run: str) -> None:
    records, written = whole(writer, run, "parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(written)).to_pylist()
    assert table == [
        {
            "run_id": record.run_id,
            "seq": record.seq,
            "source": record.source,
            "type": record.type,
            "sse_id": record.sse_id,
            "recorded_at": datetime.fromisoformat(record.recorded_at),
            "data": record.data,
            "digest": record.digest,
        }
        for record in records
    ]


def test_cloud_events_are_one_json_object_a_line(writer: Writer, run: str) -> None:
    records, written = whole(writer, run, "cloudevents")
    events = [json.loads(line) for line in written.decode().splitlines()]
    assert [event["arkorseq"] for event in events] == [record.seq for record in records]
    assert events[1]["data"] == {"type": "training.log", "step": 1, "loss": 0.5}
    assert [event["data"] for event in events[2:]] == [record.data for record in records[2:]]


def test_a_run_is_exported_by_any_of_its_names(writer: Writer, make_run: Make) -> None:
    run = make_run(job_id="job-7")
    journal = Journal(writer.path)
    assert [*journal.export("job-7")] == [*journal.export("@last")] == [*journal.export(run)]
    with pytest.raises(NoSuchRunError):
        journal.export("none")


def test_another_format_is_refused_before_anything_is_written(writer: Writer, run: str) -> None:
    with pytest.raises(ConfigError, match="jsonl, csv, parquet, cloudevents") as caught:
        Journal(writer.path).export(run, "xlsx")
    assert caught.value.field == "format"


def test_parquet_says_which_extra_it_needs(
    writer: Writer, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"arkor\[export\]"):
        Journal(writer.path).export(run, "parquet")


@pytest.mark.parametrize("format", FORMATS)
def test_sixteen_mebibytes_of_one_event_are_exported(
    writer: Writer, make_run: Make, format: str
) -> None:
    run = make_run()
    data = "é\n" * (16 * 2**20 // 3)
    writer.append(run, [Entry("stream", "huge", data)], epoch=1, durable=False)
    _, written = whole(writer, run, format)
    if format == "parquet":
        read = pyarrow.parquet.read_table(io.BytesIO(written)).column("data")[1].as_py()
    elif format == "csv":
        csv.field_size_limit(2**27)
        read = list(csv.reader(io.StringIO(written.decode(), newline="")))[2][6]
    else:
        read = json.loads(written.splitlines()[1])["data"]
    assert read == data


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_written_in_constant_memory(
    writer: Writer, make_run: Make, tmp_path: Path, format: str
) -> None:
    run = make_run()
    text = json.dumps({"type": "training.log", "text": "x" * 20_000})
    for _ in range(10):
        writer.append(run, [Entry("stream", "training.log", text)] * 400, epoch=1, durable=False)
    pieces = Journal(writer.path).export(run, format)
    first = next(pieces)
    tracemalloc.start()
    size = len(first) + sum(map(len, pieces))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > (80_000_000 if format != "parquet" else 10_000)
    assert peak < 50_000_000


def test_the_page_on_exports_is_true(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    row = NewRun(name="r", project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
    with open_writer().transaction(durable=True) as tx:
        tx.create_run(row, ODD[:1], current_owner())
    exec(program, {})
    assert "eval_loss" in capsys.readouterr().out
    written = b"".join(open_journal().export("@last"))
    assert set(json.loads(written)) == set(re.findall(r"^\| `(\w+)` \| [tn]", page, re.M))
    assert set(FORMATS) == set(re.findall(r"^\| `(\w+)` \| a ", page, re.M))
    (tmp_path / "run.parquet").write_bytes(b"".join(open_journal().export("@last", "parquet")))
    names = pyarrow.parquet.read_schema(tmp_path / "run.parquet").names
    assert names == re.findall(r"`(\w+)`", page.partition("## Parquet")[2].partition(". DuckDB")[0])
