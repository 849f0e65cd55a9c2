"""What the API answers, for programs: an OpenAPI 3.1 document."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["document"]

TEXT: Final = {"type": "string"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}
NUMBER: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "format": "date-time"}


def document(version: str, server: str) -> dict[str, Any]:
    """The document; `server` is the path that the API is mounted at."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Arkor Studio",
            "version": version,
            "description": "The runs of a journal, read-only: also while no backend is reachable.",
        },
        "servers": [{"url": server or "/"}],
        "paths": {
            "/api/runs": {"get": _RUNS},
            "/api/runs/{id}": {"get": _RUN},
            "/api/runs/{id}/events": {"get": _EVENTS},
            "/api/runs/{id}/records": {"get": _RECORDS},
        },
        "components": {"schemas": _SCHEMAS},
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list_of(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _named(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _answers(schema: Mapping[str, Any], kind: str = "application/json") -> dict[str, Any]:
    error = {"application/json": {"schema": _named("Error")}}
    return {
        "200": {"description": "what was asked for", "content": {kind: {"schema": schema}}},
        "400": {"description": "the question cannot be answered", "content": error},
        "404": {"description": "there is no such run", "content": error},
        "410": {"description": "the run's records were pruned", "content": error},
    }


_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": TEXT,
    "description": "a run's or a job's id, the beginning of one, or `@last`",
}

_RUNS: Final = {
    "operationId": "listRuns",
    "summary": "The runs, the newest first",
    "parameters": [
        _query("status", TEXT, "only runs with this status"),
        _query("q", TEXT, "only runs with this in their name, id, job id or key"),
        _query("project", {"enum": ["this"]}, "only runs of the project"),
        _query("limit", {**NUMBER, "maximum": 200, "default": 50}, "how many"),
        _query("before", TEXT, "the `next` of the page before"),
    ],
    "responses": _answers(_object(runs=_list_of(_named("Run")), total=NUMBER, next=TEXT_OR_NULL)),
}

_RUN: Final = {
    "operationId": "getRun",
    "summary": "What the log of a run adds up to, and who follows the run",
    "parameters": [_ID],
    "responses": _answers(_named("RunState")),
}

_EVENTS: Final = {
    "operationId": "followRun",
    "summary": "The run's records as they are recorded",
    "description": "Events `record`, whose id is the record's `seq` and whose data is a Record, "
    "then one `end`. A stream that breaks off without it is asked for again with `Last-Event-ID`.",
    "parameters": [
        _ID,
        {"name": "Last-Event-ID", "in": "header", "schema": TEXT, "description": "a `seq`"},
        _query("after", NUMBER, "as `Last-Event-ID`, for those who cannot set a header"),
    ],
    "responses": _answers(TEXT, "text/event-stream"),
}

_RECORDS: Final = {
    "operationId": "searchRecords",
    "summary": "A page of the run's records, searched in the whole log",
    "parameters": [
        _ID,
        _query("q", TEXT, "only records whose data holds this text"),
        _query("type", _list_of(TEXT), "only records of this type; may be repeated"),
        _query("after", NUMBER, "only records behind this one"),
        _query("before", NUMBER, "only records ahead of this one"),
        _query("order", {"enum": ["oldest", "newest"], "default": "oldest"}, "which end to cut"),
        _query("limit", {**NUMBER, "maximum": 500, "default": 100}, "how many"),
    ],
    "responses": _answers(_object(records=_list_of(_named("Record")), total=NUMBER)),
}

_OWNER: Final = {
    "oneOf": [
        {"type": "null"},
        _object(host=TEXT, pid=NUMBER, state={"enum": ["active", "idle", "orphan"]}),
    ]
}

_COMMON: Final = {"runId": TEXT, "jobId": TEXT_OR_NULL, "name": TEXT, "status": TEXT}

_SCHEMAS: Final = {
    "Error": _object(error=TEXT),
    "Run": _object(
        **_COMMON,
        settled={"type": "boolean"},
        pruned={"type": "boolean"},
        createdAt=TIME,
        projectRoot=TEXT,
        runKey=TEXT_OR_NULL,
        owner=_OWNER,
    ),
    "RunState": _object(
        **_COMMON,
        settled={"type": "boolean"},
        config={"type": "object"},
        job={"type": ["object", "null"]},
        artifacts=_list_of({}),
        latest={"type": "object", "additionalProperties": {"type": ["number", "null"]}},
        checkpoints=_list_of(NUMBER),
        counts={"type": "object", "additionalProperties": NUMBER},
        records=NUMBER,
        lastEventId=TEXT_OR_NULL,
        owner=_OWNER,
        consumers=_list_of(_object(name=TEXT, cursor=NUMBER, attempt=NUMBER, failures=NUMBER)),
        head=TEXT,
        provenance={"type": "object"},
    ),
    "Record": _object(
        seq=NUMBER,
        source={"enum": ["stream", "local"]},
        type=TEXT,
        id=TEXT_OR_NULL,
        recordedAt=TIME,
        data={},
        digest=TEXT,
    ),
}
