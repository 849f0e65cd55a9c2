"""The chat process: started by the first question, ended when nobody has asked for a while."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from arkor.backend.process import Worker, describe_end

__all__ = ["Answer", "ChatProcess"]

log = logging.getLogger("arkor.backend")

Answer = dict[str, Any]
"""One line of an answer: a `delta` of text, or, at last, `done` or `error`."""


class ChatProcess:
    """Answers questions in a process of its own, which holds the models.

    It ends after `idle_timeout` seconds without a question; one that dies is started anew by
    the next question.
    """

    def __init__(self, command: Sequence[str], log: Path, *, idle_timeout: float) -> None:
        self._command = command
        self._log = log
        self._idle_timeout = idle_timeout
        self._starting = asyncio.Lock()
        self._current: _Session | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._numbers = itertools.count(1)

    async def ask(self, question: Mapping[str, Any]) -> AsyncGenerator[Answer, None]:
        """The lines of the answer; the last has `done` or `error`.

        Closing the generator before that cancels the question.
        """
        session = await self._session()
        question_id = str(next(self._numbers))
        inbox = session.open(question_id)
        answered = False
        try:
            session.worker.send({"id": question_id, **question})
            while not answered:
                line = await inbox.get()
                answered = "done" in line or "error" in line
                yield line
        finally:
            session.leave(question_id, cancel=not answered)
            self._rest(session)

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        if (session := self._current) is not None:
            self._current = None
            session.worker.kill()
            await session.reader

    async def _session(self) -> "_Session":
        async with self._starting:
            if self._idle is not None:
                self._idle.cancel()
            if self._current is None or self._current.ended:
                self._current = _Session(await Worker.start(self._command, log=self._log))
            return self._current

    def _rest(self, session: "_Session") -> None:
        if session is self._current and session.silent:
            if self._idle is not None:
                self._idle.cancel()
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_timeout, self._end, session)

    def _end(self, session: "_Session") -> None:
        # The next question may come before this process is gone; it gets another one.
        if session is self._current:
            self._current = None
        session.worker.hang_up()


class _Session:
    """One life of the process, and the questions it was asked."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.ended = False
        self.reader = asyncio.create_task(self._read())
        self._inboxes: dict[str, asyncio.Queue[Answer]] = {}

    @property
    def silent(self) -> bool:
        return not self._inboxes

    def open(self, id: str) -> asyncio.Queue[Answer]:
        inbox = self._inboxes[id] = asyncio.Queue()
        return inbox

    def leave(self, id: str, *, cancel: bool) -> None:
        del self._inboxes[id]
        if cancel and not self.ended:
            self.worker.send({"cancel": id})

    async def _read(self) -> None:
        try:
            async for line in self.worker.lines():
                if inbox := self._inboxes.get(str(line.get("id"))):
                    inbox.put_nowait(line)
            end = describe_end(await self.worker.wait())
        except ValueError as error:
            end = f"wrote what is not the protocol: {error}"
        finally:
            self.ended = True
            self.worker.kill()
        if self._inboxes:
            log.error("the chat process %s. %s", end, self.worker.tail())
        message = f"the chat process {end}; ask again, and see chat.log in the backend's folder"
        for inbox in self._inboxes.values():
            inbox.put_nowait({"error": {"status": 500, "message": message}})
