"""A backend whose one job has many events: a process that sends them as fast as it can.

Usage: python backend.py COUNT each|big; prints its address, and ends with its stdin.
"""

import json
import sys
from collections.abc import Iterator

from arkor.core.wire import frame
from arkor.testing import Answer, Cut, Received, ScriptedBackend, Step

BLOCK = 300
"""Events that are written at once."""

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"connection: close\r\n\r\n"
)


def data_of(number: int, kind: str = "training.log", job: str = "job-1") -> str:
    """An event's data: some 200 bytes, as a backend sends them."""
    return json.dumps(
        {
            "type": kind,
            "jobId": job,
            "timestamp": "2026-11-24T12:00:00.000Z",
            "step": number,
            "loss": round(1 + 1 / number, 6),
            "learningRate": 0.0002,
            "epoch": round(number / 1000, 3),
            "samplesPerSecond": 12.5,
        }
    )


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


class Source(ScriptedBackend):
    """Sends `count` events after the one that it is asked to go on from."""

    def __init__(self, count: int, shape: str) -> None:
        super().__init__()
        self.count, self.shape = count, shape

    def stream(self, request: Received) -> Answer:
        first = int(request.headers.get("last-event-id", 0)) + 1
        return Answer(200, before=self._raw(first, request.path.split("/")[3]))

    def _raw(self, first: int, job: str) -> Iterator[Step]:
        yield HEAD
        for begin in range(first, self.count + 1, BLOCK):
            numbers = range(begin, min(begin + BLOCK, self.count + 1))
            frames = [self._frame(number, job) for number in numbers]
            yield b"".join(map(chunk, frames)) if self.shape == "each" else chunk(b"".join(frames))
        yield b"0\r\n\r\n"
        yield Cut()

    def _frame(self, number: int, job: str) -> bytes:
        kind = "training.completed" if number == self.count else "training.log"
        return frame(kind, data_of(number, kind, job), str(number))


if __name__ == "__main__":
    with Source(int(sys.argv[1]), sys.argv[2]) as backend:
        print(backend.url, flush=True)
        sys.stdin.read()
