"""A backend that does what a test says, so that callbacks can be tested in every weather.

`ScriptedBackend` plays one training run, `ScriptedServer` anything that speaks HTTP. Both are
context managers that listen on a free loopback port; give `url` as the backend's address.
"""

from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import (
    Answer,
    Call,
    Cut,
    Forever,
    Received,
    Respond,
    Step,
    Until,
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
    "Respond",
    "ScriptedBackend",
    "ScriptedServer",
    "Step",
    "Until",
    "Wait",
    "answer_json",
    "event_stream",
    "lost",
]
