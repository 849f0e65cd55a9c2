"""What a scripted server is told to do: answers, and the steps an answer may consist of."""

import json as _json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "Answer",
    "Call",
    "Cut",
    "Forever",
    "Received",
    "Respond",
    "Step",
    "Until",
    "Verbatim",
    "Wait",
    "answer_json",
    "event_stream",
    "lost",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """Say nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Say nothing until the test sets `event`."""

    event: threading.Event


@dataclass(frozen=True, slots=True)
class Forever:
    """Never say anything again, and keep the connection open."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Break the connection off; with `reset` by a TCP reset, which may overtake what was sent."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Call `function` on the server's thread: the place to kill a process or set an event."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """One event exactly as it is to be sent: its name, its text, its own id."""

    type: str
    data: str
    id: str | None = None


Step = bytes | Wait | Until | Forever | Cut | Call
"""One thing to do. Bytes are sent at once, as a chunk of their own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. A `body` of bytes has a length; one of steps is sent chunked, as it goes.

    Steps that an iterator makes are made as they are sent, and for one connection only.

    `before` is done before the status line: `(Wait(2),)` is a slow backend, `(Cut(),)` one that
    hangs up, `(Forever(),)` one that never answers.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[Step] = b""
    before: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. `target` is the raw path with its query; header names are lower case.

    `path` is still percent-encoded; `query` is decoded.
    """

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return _json.loads(self.body)


Respond = Answer | Callable[[Received], Answer]
"""An answer, or what makes one from the request; that runs on the server's thread."""


def answer_json(value: object, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body. `retry_after="3"` is the header `retry-after`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = _json.dumps(value).encode()
    return Answer(status, {"content-type": "application/json", **named}, body)


def event_stream(*steps: Step) -> Answer:
    """An event stream that consists of `steps` and then ends cleanly."""
    return Answer(200, {"content-type": "text/event-stream"}, steps)


def lost(respond: Respond) -> Respond:
    """`respond` has its effect, but the connection breaks before its answer is sent."""

    def answer(request: Received) -> Answer:
        made = respond(request) if callable(respond) else respond
        return replace(made, before=(*made.before, Cut()))

    return answer
