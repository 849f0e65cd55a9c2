"""A record as a CloudEvent: valid by the schema of version 1.0, and nothing lost on the way."""

import json
import re
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from arkor.core.cloudevents import cloud_event
from arkor.core.record import GENESIS, Entry, Record, chain

SCHEMA = {
    # CloudEvents 1.0.2, JSON format, annex: the required attributes, and the optional ones we use.
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "pattern": "^urn:arkor:run:[^ ]+$"},
        "type": {"type": "string", "minLength": 1},
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "datacontenttype": {"enum": ["application/json", "text/plain"]},
        "data": {},
    },
    # An extension's name is lower-case ASCII letters and digits, 20 at most; its value is simple.
    "patternProperties": {"^(arkor[a-z0-9]+|sseid)$": {"type": ["string", "integer"]}},
    "additionalProperties": False,
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
}

FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001fffe]")


def record(data: str, **fields: Any) -> Record:
    entry = Entry("stream", "training.log", data, "7")
    at = "2026-11-24T02:00:00.000000Z"
    (made,) = chain("01RUN", [entry], after=4, prev_digest=GENESIS, recorded_at=at)
    return made._replace(**fields)


def read(record: Record) -> dict[str, Any]:
    line = cloud_event(record).decode()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    event: dict[str, Any] = json.loads(line)
    jsonschema.validate(event, SCHEMA)
    return event


def test_every_attribute_is_there() -> None:
    made = record('{"step":1}')
    assert read(made) == {
        "specversion": "1.0",
        "id": "01RUN/5",
        "source": "urn:arkor:run:01RUN",
        "type": "dev.arkor.stream.training.log",
        "time": "2026-11-24T02:00:00.000000Z",
        "arkorseq": 5,
        "arkorsource": "stream",
        "arkortype": "training.log",
        "arkordigest": made.digest.hex(),
        "sseid": "7",
        "datacontenttype": "application/json",
        "data": {"step": 1},
    }


def test_an_event_without_an_id_has_none() -> None:
    assert "sseid" not in read(record("{}", sse_id=None))
    assert read(record("{}", sse_id=""))["sseid"] == ""


@pytest.mark.parametrize(
    "data",
    ['{"a":1e400}', '{"a":1,"a":2}', "0.10", '{ "a" : 1 }', f"[{'9' * 6000}]", '"\\ud800"', "null"],
)
def test_json_stands_there_as_it_came(data: str) -> None:
    assert f'"data":{data}}}\n'.encode() in cloud_event(record(data))
    assert b'"application/json"' in cloud_event(record(data))


def test_json_of_many_lines_becomes_one_of_the_same_meaning() -> None:
    data = '{\n "a":\r\n"x\u2028y\u0085z 🦊"\r}'
    assert read(record(data))["data"] == json.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "plain",
        "NaN",
        '{"a":Infinity}',
        "{",
        '"\n"',
        "a\x00\u2028b\r\n",
        "[" * 100_000,
        "\ud800",
    ],
)
def test_what_is_no_json_is_text(data: str) -> None:
    event = read(record(data))
    assert (event["datacontenttype"], event["data"]) == ("text/plain", data)


@pytest.mark.parametrize(
    "text", ["a\nb", "\x00", "100%", "\ufdd0", "\U0001fffe", "\x7f\x85", "é 日"]
)
def test_an_attribute_holds_what_it_may_and_can_be_read_back(text: str) -> None:
    event = read(record("{}", type=text, sse_id=text))
    for name in ("arkortype", "sseid", "type"):
        assert not FORBIDDEN.search(event[name])
    assert unquote(event["arkortype"]) == unquote(event["sseid"]) == text
