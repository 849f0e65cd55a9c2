"""A process that follows one run and tells its parent what its callbacks see, until it is killed."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from arkor import (
    AnonymousCredentials,
    ArkorError,
    Trainer,
    TrainerCallbacks,
    TrainerOptions,
    attach_sync,
    create_trainer,
)

__all__ = ["KEY", "PATIENCE", "Process", "watch"]

KEY = "the key"
PATIENCE = 30.0
ENDS = ("on_completed", "on_failed", "on_cancelled")


class FaultError(Exception):
    """What a callback raises when it was told to."""


class Process:
    """One watcher, and what it says."""

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["arkor", "arkor.runner.takeover", "arkor.runner.trainer", "alembic.command", "sqlite3"]
    )

    def __init__(
        self, number: int, url: str, folder: str, *, key: str | None = None, job: str | None = None
    ) -> None:
        self.number = number
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(
            target=watch, args=(theirs, url, folder, key, job), daemon=True
        )
        self.process.start()
        theirs.close()

    def hear(self) -> tuple[Any, ...]:
        """The next thing it says."""
        assert self.pipe.poll(PATIENCE), "nothing was said for long"
        said: tuple[Any, ...] = self.pipe.recv()
        return said

    def kill(self) -> Iterator[tuple[Any, ...]]:
        """kill -9; what it had said before."""
        self.process.kill()
        self.process.join()
        self.process.close()
        yield from rest_of(self.pipe)
        self.pipe.close()


def rest_of(pipe: Connection) -> Iterator[tuple[Any, ...]]:
    try:
        while True:
            yield pipe.recv()
    except (EOFError, ConnectionResetError):
        return


def watch(pipe: Connection, url: str, folder: str, key: str | None, job: str | None) -> None:
    """Take the run (of `key`, or the orphan, or `job` by attaching to it), follow it, and obey.

    Tells `started`, each `call`, `raised` and `ended`; understands `wait`, `fault`, `hang` and
    `cancel`.
    """
    os.environ["ARKOR_HOME"] = f"{folder}/store"
    os.chdir(folder)
    follower = Follower(pipe)
    try:
        trainer = follower.trainer(url, key, job)
        started = trainer.start_sync()
    except ArkorError as error:
        follower.say("raised", type(error).__name__)
        return
    follower.say("started", started.job_id)
    try:
        while True:
            follower.obey(trainer, pipe.recv())
    except EOFError:
        return


@dataclass
class Follower:
    """The child's side: `troubles` are what the next call of a consumer is to do."""

    pipe: Connection
    troubles: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, *what: object) -> None:
        with self.lock:
            self.pipe.send(what)

    def trainer(self, url: str, key: str | None, job: str | None) -> Trainer:
        sets = [self.consumer("logs", "on_log", "on_event", *ENDS), self.consumer("ends", *ENDS)]
        options = TrainerOptions(
            base_url=url,
            credentials=AnonymousCredentials("a-token-of-this-test-0123", "anon-1", "anon-org"),
            reconnect_delay=0.02,
            max_reconnect_delay=0.05,
        )
        if job is not None:
            return attach_sync(job, callbacks=sets, options=options)
        return create_trainer(
            name="a run",
            model="owner/model",
            dataset={"type": "huggingface", "name": "owner/data"},
            callbacks=sets,
            run_key=key,
            options=options,
        )

    def consumer(self, name: str, *callbacks: str) -> TrainerCallbacks:
        def told(callback: str) -> Any:
            return lambda ctx: self.called(name, callback, ctx)

        functions = {each: told(each) for each in callbacks}
        return TrainerCallbacks(name=name, **functions)

    def called(self, consumer: str, callback: str, ctx: Any) -> None:
        self.say("call", consumer, callback, ctx.event.data.get("n"), ctx.attempt)
        match self.troubles.pop(consumer, None):
            case "fault":
                raise FaultError(consumer)
            case "hang":
                threading.Event().wait()

    def obey(self, trainer: Trainer, order: Any) -> None:
        match order:
            case "wait":
                threading.Thread(target=self.wait, args=(trainer,), daemon=True).start()
            case "cancel":
                trainer.cancel_sync()
                self.say("cancelled")
            case trouble, consumer:
                self.troubles[consumer] = trouble
                self.say("armed")

    def wait(self, trainer: Trainer) -> None:
        try:
            self.say("ended", trainer.wait_sync().status)
        except Exception as error:
            self.say("raised", type(error).__name__)
