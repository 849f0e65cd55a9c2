"""A record as a line: read back to the letter, and harmless in a spreadsheet."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core.lines import CSV_HEADER, csv_row, json_line, read_line, read_shown
from arkor.core.record import GENESIS, Entry, Record, chain

AT = "2026-11-24T02:00:00.000000Z"
ODD = (
    '{"a":1}',
    "",
    "not JSON",
    'a "quoted", text\r\nof two lines\n',
    "a\u2028b\u2029c\u0085d\x0be\x1cf",
    "\x00NUL \x1b[31m",
    "日本語 🦊 \ufffe",
    '"a JSON text"',
    "NaN",
    "12",
)


def one(**fields: object) -> Record:
    entry = Entry("stream", "training.log", "{}", "7")
    (record,) = chain("01RUN", [entry], after=0, prev_digest=GENESIS, recorded_at=AT)
    return record._replace(prev_digest=b"", **fields)


def shown(record: Record, **changes: object) -> str:
    return json.dumps({**json.loads(json_line(record)), **changes})


@pytest.mark.parametrize("data", ODD)
def test_a_line_of_json_is_read_back_to_the_letter(data: str) -> None:
    record = one(data=data, type=f"x{data[:20]}", sse_id=data)
    line = json_line(record)
    assert read_line(line) == record
    assert read_line(line.decode()) == record
    assert len(line.decode().splitlines()) == 1


def test_a_line_says_the_whole_record() -> None:
    assert json.loads(json_line(one(sse_id=None))) == {
        "runId": "01RUN",
        "seq": 1,
        "source": "stream",
        "type": "training.log",
        "id": None,
        "recordedAt": AT,
        "data": "{}",
        "digest": one().digest.hex(),
    }


@given(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.text("ab\n\t\0é"))
def test_any_text_survives_a_line(data: str, sse_id: str | None) -> None:
    record = one(data=data, sse_id=sse_id)
    assert read_line(json_line(record)) == record


HOSTILE = {
    "": "JSON object",
    "[]": "JSON object",
    '"text"': "JSON object",
    "not json": "JSON object",
    "{}": "missing",
    "{" * 100_000: "JSON object",
    '{"seq":[' + "[" * 100_000: "JSON object",
    '{"a":"b","c":NaN}': "NaN",
    '{"a":Infinity}': "Infinity",
    '{"a":1,"a":2}': "`a` is given twice",
    '{"a":' + "9" * 5000 + "}": "not JSON",
    '{"a" "b"}': "not JSON",
    '{"a":1} {"b":2}': "JSON object",
    "{" + ",".join(f'"{n}":{n}' for n in range(500)) + "}": "JSON object",
    '{"a":"\x01"}': "not JSON",
    '{"a":"b': "JSON object",
}


@pytest.mark.parametrize(("line", "reason"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_a_line_that_is_no_record_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_line(line)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("runId", 7),
        ("seq", 0),
        ("seq", -1),
        ("seq", 1.0),
        ("seq", True),
        ("seq", "1"),
        ("seq", 2**63),
        ("source", "elsewhere"),
        ("source", None),
        ("type", None),
        ("id", 7),
        ("recordedAt", 7),
        ("data", 7),
        ("data", None),
        ("data", "\ud800"),
        ("type", "\udfff"),
        ("digest", "00"),
        ("digest", "G" * 64),
        ("digest", " " * 64),
        ("digest", None),
    ],
)
def test_a_field_of_another_kind_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"`{field}`"):
        read_line(shown(one(), **{field: value}))


@pytest.mark.parametrize("value", [{"a": 1}, ["a"], {}])
def test_data_that_is_no_text_is_read_where_it_need_not_be_exact(value: object) -> None:
    line = shown(one(), data=value)
    with pytest.raises(ValueError, match="JSON object"):
        read_line(line)
    assert json.loads(read_shown(line).data) == value


def test_a_field_that_nobody_knows_is_passed_over() -> None:
    assert read_line(shown(one(), newer="text")) == one()


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        read_line(json_line(one()).replace(b"training", b"\xff\xfe"))


@pytest.mark.parametrize("data", ODD)
def test_csv_is_read_back_by_any_reader(data: str) -> None:
    record = one(data=data, sse_id=None)
    text = (CSV_HEADER + csv_row(record) + csv_row(one())).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 2
    assert rows[0] == {
        "runId": "01RUN",
        "seq": "1",
        "source": "stream",
        "type": "training.log",
        "id": "",
        "recordedAt": AT,
        "data": data,
        "digest": record.digest.hex(),
    }


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b"])
def test_no_cell_of_csv_is_a_formula(first: str) -> None:
    evil = f'{first}HYPERLINK("http://evil";1)'
    text = csv_row(one(data=evil, type=evil, sse_id=evil)).decode()
    (row,) = csv.reader(io.StringIO(text, newline=""))
    assert [row[3], row[4], row[6]] == [f"'{evil}"] * 3


@pytest.mark.parametrize("number", ["-1", "+1.5", "-1e-5", "0", "-0.0"])
def test_a_number_is_left_alone(number: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_row(one(data=number)).decode()))
    assert row[6] == number


@pytest.mark.parametrize("text", ["-1+1", "+1|cmd", "-", "-1\n=1", "=1", "-\u0661"])
def test_what_only_begins_as_a_number_is_none(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_row(one(data=text)).decode(), newline=""))
    assert row[6] == f"'{text}"
