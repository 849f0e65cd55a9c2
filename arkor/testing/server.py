"""An HTTP server that does what a script says, in every weather, on a loopback port."""

import asyncio
import re
import threading
from collections import deque
from types import TracebackType
from typing import Final, Self

from arkor.testing.exchange import receive, send
from arkor.testing.script import Answer, Received, Respond

__all__ = ["ScriptedServer"]

MOST_CALLERS: Final = 1024
"""Connections that may wait to be accepted at once: as many runs may begin together."""

_NOTHING: Final = Answer(404, {"content-type": "application/json"}, b'{"error":"no route"}')


class ScriptedServer:
    """Answers each route with the next answer of its list; the last one repeats.

    ::

        with ScriptedServer() as server:
            server.on("GET", "/v1/jobs/{id}", Answer(503), answer_json({"job": job}))
            ...
        assert [request.path for request in server.requests] == ["/v1/jobs/7", "/v1/jobs/7"]

    It runs on a thread of its own. `url` is where it listens, `requests` what came, in order.
    What a callable of the script raises is raised again when the `with` block ends.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.url = ""
        self._routes: list[tuple[str, re.Pattern[str], deque[Respond]]] = []
        self._arrived = threading.Condition()
        self._failures: list[Exception] = []
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._serving: set[asyncio.Task[None] | None] = set()
        self._thread = threading.Thread(target=self._run, name="scripted-server", daemon=True)

    def on(self, method: str, path: str, *answers: Respond) -> None:
        """Script a route. `{name}` in `path` is any one segment; a later script wins."""
        parts = (
            "[^/]+" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{\w+\})", path)
        )
        self._routes.insert(0, (method, re.compile("".join(parts)), deque(answers)))

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[Received]:
        """The requests so far, once there are `count`. Raises `TimeoutError`."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came")
            return list(self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if error is None and self._failures:
            raise self._failures[0]

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=MOST_CALLERS)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        # What still waits, forever perhaps, is cancelled as asyncio.run returns.

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)  # one that waits forever is referred to by nothing else
        try:
            while request := await receive(reader):
                respond = self._next(request)
                with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                answer = respond(request) if callable(respond) else respond
                await send(writer, answer, head_only=request.method == "HEAD")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The other side hung up, or the script did, or the server closes.
        except Exception as error:
            self._failures.append(error)
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    def _next(self, request: Received) -> Respond:
        for method, pattern, answers in self._routes:
            if method == request.method and pattern.fullmatch(request.path) and answers:
                return answers.popleft() if len(answers) > 1 else answers[0]
        return _NOTHING
