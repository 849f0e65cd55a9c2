"""A backend that does what a test says, so that callbacks can be tested in every weather.

`ScriptedBackend` plays one training run, `RecordedBackend` one that a journal has recorded, and
`ScriptedServer` anything that speaks HTTP. They are context managers that listen on a free
loopback port; give `url` as the backend's address. Under pytest the fixture `arkor_backend` is a
`RecordedBackend` that everything in the test talks to, with an empty journal of its own.
"""

from arkor.testing.backend import ScriptedBackend
from arkor.testing.recorded import RecordedBackend, read_export
from arkor.testing.script import (
    Answer,
    Call,
    Cut,
    Forever,
    Received,
    Respond,
    Step,
    Until,
    Verbatim,
    Wait,
    answer_json,
    event_stream,
    lost,
)
from arkor.testing.server import ScriptedServer

__all__ = [
    "Answer",
    "Call",
    "Cut",
    "Forever",
    "Received",
    "RecordedBackend",
    "Respond",
    "ScriptedBackend",
    "ScriptedServer",
    "Step",
    "Until",
    "Verbatim",
    "Wait",
    "answer_json",
    "event_stream",
    "lost",
    "read_export",
]
