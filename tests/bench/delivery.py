"""From the socket to a callback with a receipt for each call, beside what makes steps durable."""

import asyncio
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

from backend import data_of
from measure import Row, Size, beside, call, child, source
from sqlalchemy import Engine, create_engine, event

TITLE = "From the socket to a callback, with a receipt for each"

PEERS = {
    "dbos": {
        "DBOS step, SQLite as it comes": {"function": "delivery:dbos", "own_engine": False},
        "DBOS step, WAL and FULL": {"function": "delivery:dbos", "own_engine": True},
    },
    "eventsourcing": {"eventsourcing recorder and tracking": {"function": "delivery:eventsourced"}},
    "mlflow": {"MLflow log_metric, SQLite": {"function": "delivery:mlflow"}},
}


def rows(size: Size) -> list[Row]:
    count, few = size.of(10_000, 200), size.of(400, 20)
    with source(count, "each") as url:
        subjects = {"arkor": lambda: float(call("delivery:arkor", url=url, count=count))}
        for package, peers in PEERS.items():
            if importlib.util.find_spec(package) is None:
                print(f"not measured: {package} is not installed (scripts/install bench)")
                continue
            for name, made in peers.items():
                subjects[name] = child(made["function"], count=few, **_more(made))
        return beside(subjects, "events/s", reference="arkor", rounds=size.rounds, inverse=True)


def _more(made: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in made.items() if key != "function"}


def arkor(url: str, count: int) -> float:
    from ingest import trainer

    async def nothing(ctx: object) -> None:
        """An async callback that does nothing."""

    run = trainer(url, callbacks={"on_log": nothing})
    run.start_sync()
    began = time.perf_counter()
    run.wait_sync()
    return count / (time.perf_counter() - began)


def dbos(count: int, own_engine: bool) -> float:
    from dbos import DBOS, SetWorkflowID

    url = f"sqlite:///{os.environ['ARKOR_BENCH_FOLDER']}/dbos.sqlite"
    config = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    if own_engine:
        config["system_database_engine"] = _engine(url)
    DBOS(config=config)

    @DBOS.step()
    async def step(data: str) -> None:
        """A step that does nothing."""

    @DBOS.workflow()
    async def run(items: list[str]) -> float:
        began = time.perf_counter()
        for item in items:
            await step(item)
        return time.perf_counter() - began

    async def main() -> float:
        with SetWorkflowID("bench"):
            return await run([data_of(n) for n in range(1, count + 1)])

    DBOS.launch()
    return count / asyncio.run(main())


def _engine(url: str) -> Engine:
    """An engine that writes as durably as Arkor does, through a write-ahead log."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    return engine


def eventsourced(count: int) -> float:
    from uuid import uuid4

    from eventsourcing.persistence import StoredEvent, Tracking
    from eventsourcing.sqlite import SQLiteDatastore, SQLiteProcessRecorder

    place = Path(os.environ["ARKOR_BENCH_FOLDER"]) / "events.db"
    recorder = SQLiteProcessRecorder(SQLiteDatastore(str(place)))
    recorder.create_table()
    run = uuid4()
    made = [data_of(n).encode() for n in range(1, count + 1)]
    began = time.perf_counter()
    for number, data in enumerate(made, 1):
        recorder.insert_events([StoredEvent(run, number, "training.log", data)])
        recorder.insert_events([], tracking=Tracking("upstream", number))
    return count / (time.perf_counter() - began)


def mlflow(count: int) -> float:
    import mlflow as tracker

    folder = os.environ["ARKOR_BENCH_FOLDER"]
    tracker.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    tracker.set_experiment("bench")
    with tracker.start_run():
        tracker.log_metric("loss", 1.0, step=0)
        began = time.perf_counter()
        for number in range(1, count + 1):
            tracker.log_metric("loss", 1 / number, step=number)
        return count / (time.perf_counter() - began)


__all__ = ["PEERS", "TITLE", "arkor", "dbos", "eventsourced", "mlflow", "rows"]
