"""What the backend says about a run: the events of the stream, decoded.

A record keeps an event's text verbatim; `decode` reads it on the way out, so a field that this
release does not know survives in the log. Types are an open set: an unknown one is `Other`.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final, Never

__all__ = [
    "CheckpointSaved",
    "Event",
    "Malformed",
    "Other",
    "TrainingCompleted",
    "TrainingFailed",
    "TrainingLog",
    "TrainingStarted",
    "decode",
    "read_event",
]


LONGEST_REMEMBERED: Final = 1024
"""Characters of the longest event that is kept decoded for a while."""

MOST_REMEMBERED: Final = 2048
"""Events that are kept so."""


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """`training.started`: the backend began to train."""

    timestamp: str | None
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """`training.log`: figures after a step. A figure that was not reported is `None`.

    One may be infinite: JSON's `1e309` reads so, and says that the training has diverged.
    """

    step: int
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    epoch: float | None = None
    samples_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """`checkpoint.saved`: an adapter that can be asked is on the backend."""

    step: int
    artifacts: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingCompleted:
    """`training.completed`: the run's good end."""

    timestamp: str | None
    artifacts: tuple[Any, ...] = ()
    metrics: Any = None


@dataclass(frozen=True, slots=True)
class TrainingFailed:
    """`training.failed`: the run's bad end, with the backend's own text."""

    timestamp: str | None
    error: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """An event whose type this release gives no meaning to."""

    type: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Data that is no event of this run: it is kept in the log and delivered to nobody."""

    reason: str


Event = (
    TrainingStarted
    | TrainingLog
    | CheckpointSaved
    | TrainingCompleted
    | TrainingFailed
    | Other
    | Malformed
)


def read_event(name: str, data: str, job_id: str | None = None) -> tuple[str, Event]:
    """What the stream sent as `name`: a record's type, and what `decode` makes of it.

    The type is the JSON object's `type`, else the SSE event name.
    """
    payload = _parse(data)
    kind = _type_of(payload) or name
    event = _event(kind, payload, job_id)
    if isinstance(event, TrainingLog):
        _remember(data, job_id, event)
    return kind, event


def decode(type: str, data: str, job_id: str | None = None) -> Event:
    """Read one event. Never raises: what cannot be an event of `job_id` is `Malformed`."""
    if type == "training.log" and (known := _logs.get((data, job_id))) is not None:
        return known
    event = _event(type, _parse(data), job_id)
    if isinstance(event, TrainingLog):
        _remember(data, job_id, event)
    return event


# Nearly every event of a run is a log, which is asked for by whoever records it, folds it and
# delivers it. What comes of it holds numbers only, so they may share it.
_logs: Final[dict[tuple[str, str | None], TrainingLog]] = {}


def _remember(data: str, job_id: str | None, event: TrainingLog) -> None:
    if len(data) <= LONGEST_REMEMBERED:
        if len(_logs) >= MOST_REMEMBERED:
            _logs.clear()
        _logs[data, job_id] = event


def _type_of(payload: object) -> str | None:
    if isinstance(payload, dict) and isinstance(kind := payload.get("type"), str):
        # JSON can spell half a surrogate pair, which no UTF-8 text holds (RFC 8259, 8.2).
        return kind if kind.isascii() else kind.encode("utf-8", "replace").decode()
    return None


def _event(type: str, payload: object, job_id: str | None) -> Event:
    if type == "end":
        return Other("end")
    if isinstance(payload, _NotJson):
        return Malformed(payload.reason)
    if not isinstance(payload, dict):
        return Malformed("the data is not a JSON object")
    named = payload.get("jobId")
    if job_id is not None and named is not None and named != job_id:
        return Malformed("the event is of another job")
    try:
        return _read(type, payload)
    except _MissingError as missing:
        return Malformed(str(missing))


class _MissingError(Exception):
    """A field that the event's type requires is not there, or is of another kind."""


@dataclass(frozen=True, slots=True)
class _NotJson:
    reason: str


def _parse(data: str) -> object:
    try:
        return _JSON.decode(data)
    except (ValueError, RecursionError):
        return _NotJson("the data is not JSON")


def _refuse(constant: str) -> Never:
    # NaN and Infinity are Python's own extension, not JSON (RFC 8259, 6).
    raise ValueError(constant)


_JSON: Final = json.JSONDecoder(parse_constant=_refuse)


def _read(type: str, payload: dict[str, Any]) -> Event:
    match type:
        case "training.log":
            return TrainingLog(
                step=_step(payload),
                loss=_number(payload.get("loss")),
                eval_loss=_number(payload.get("evalLoss")),
                learning_rate=_number(payload.get("learningRate")),
                epoch=_number(payload.get("epoch")),
                samples_per_second=_number(payload.get("samplesPerSecond")),
            )
        case "checkpoint.saved":
            return CheckpointSaved(_step(payload), _items(payload.get("artifacts")))
        case "training.started":
            return TrainingStarted(_text(payload.get("timestamp")), payload.get("metadata"))
        case "training.completed":
            return TrainingCompleted(
                _text(payload.get("timestamp")),
                _items(payload.get("artifacts")),
                payload.get("metrics"),
            )
        case "training.failed":
            return _failed(payload)
        case _:
            return Other(type)


def _failed(payload: dict[str, Any]) -> TrainingFailed:
    error = payload.get("error")
    if not isinstance(error, str):
        raise _MissingError("`error` must be a string")
    step = _whole(payload.get("step"))
    return TrainingFailed(_text(payload.get("timestamp")), error, step)


def _step(payload: dict[str, Any]) -> int:
    step = _whole(payload.get("step"))
    if step is None:
        raise _MissingError("`step` must be a whole number")
    return step


def _whole(value: object) -> int | None:
    number = _number(value)
    # JSON has no infinity, but 1e309 is JSON, and reads as one.
    if number is None or not math.isfinite(number) or number != number // 1:
        return None
    return int(number)


def _number(value: object) -> float | None:
    if type(value) is float or value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _items(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else ()
