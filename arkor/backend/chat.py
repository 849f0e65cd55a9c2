"""The chat worker: `python -m arkor.backend.chat`.

Reads one request a line on standard input, `{"id", "model", "home", "messages", ...}`, and
answers lines on standard output: `{"id", "delta"}` for each piece of text, then `{"id", "done"}`
or `{"id", "error": {"status", "code", "message"}}`. One is answered at a time. `{"cancel": id}`
stops one; it is then done, with the finish reason `cancelled`. The end of standard input ends
the process.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from arkor.backend.channel import Channel
from arkor.backend.model import prepare_libraries
from arkor.backend.question import Question
from arkor.errors import CloudApiError

__all__ = ["main"]

Line = Mapping[str, Any]


def main() -> int:
    """Answer until standard input ends."""
    channel = Channel.take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_libraries()
    inbox = _Inbox()
    threading.Thread(target=inbox.fill, name="requests", daemon=True).start()

    from arkor.backend.generation import Models

    models = Models()
    while True:
        line, cancelled = inbox.take()
        try:
            answer = _answer(models, line, cancelled, channel)
        except CloudApiError as error:
            answer = _error(error.status, error.code, error.message)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answer = _error(500, None, f"the chat process failed: {type(error).__name__}: {error}")
        inbox.forget(line)
        channel.send({"id": line["id"], **answer})


def _answer(models: Any, line: Line, cancelled: threading.Event, channel: Channel) -> Line:
    question = Question.read(line)

    def pass_on(piece: str) -> None:
        channel.send({"id": question.id, "delta": piece})

    return {"done": models.answer(question, pass_on, cancelled)}


def _error(status: int, code: str | None, message: str) -> Line:
    return {"error": {"status": status, "code": code or "internal_error", "message": message}}


class _Inbox:
    """Requests in the order they came, each with the sign that it was cancelled."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[Line, threading.Event]] = queue.SimpleQueue()
        self._signs: dict[Any, threading.Event] = {}

    def fill(self) -> None:
        """Read standard input to its end, and then end the process: the parent is gone."""
        status = 1
        try:
            for text in sys.stdin:
                self._take_in(json.loads(text))
            status = 0
        except Exception:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)

    def _take_in(self, line: Line) -> None:
        if "cancel" not in line:
            sign = self._signs[line["id"]] = threading.Event()
            self._requests.put((line, sign))
        elif known := self._signs.get(line["cancel"]):
            known.set()

    def take(self) -> tuple[Line, threading.Event]:
        """Wait for the next request."""
        return self._requests.get()

    def forget(self, line: Line) -> None:
        """Drop the sign of an answered request."""
        del self._signs[line["id"]]


if __name__ == "__main__":
    sys.exit(main())
