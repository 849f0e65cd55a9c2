"""From the socket into the journal, without a callback; beside the same client without a journal."""

import asyncio
import time

from measure import Row, Size, Subject, beside, call, source

TITLE = "From the socket into the journal"


def rows(size: Size) -> list[Row]:
    count = size.of(60_000, 500)
    few = size.of(5000, 100)
    found = []
    for shape in ("each", "big"):
        with source(count, shape) as url:

            def measured(name: str, url: str = url, **more: int) -> Subject:
                return lambda: float(call(f"ingest:{name}", url=url, count=count, **more))

            parsing = f"parsing alone ({shape})"
            subjects = {parsing: measured("parse"), f"arkor ({shape})": measured("arkor")}
            if shape == "each":
                subjects["a commit for each event"] = measured("singly", few=few)
            found += beside(subjects, "events/s", reference=parsing, rounds=size.rounds)
    return found


def trainer(url: str, **given: object) -> "Trainer":  # noqa: F821
    """A trainer whose run is the backend's job."""
    from arkor import TrainerOptions, create_trainer
    from arkor.store.credentials import AnonymousCredentials

    return create_trainer(
        name="bench",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        options=TrainerOptions(
            base_url=url, credentials=AnonymousCredentials("token-of-this-run", "a", "org")
        ),
        **given,
    )


def arkor(url: str, count: int) -> float:
    run = trainer(url)
    run.start_sync()
    began = time.perf_counter()
    run.wait_sync()
    return count / (time.perf_counter() - began)


def parse(url: str, count: int) -> float:
    async def read() -> int:
        seen = 0
        async for frames in events(url):
            seen += len(frames)
        return seen

    began = time.perf_counter()
    assert asyncio.run(read()) == count
    return count / (time.perf_counter() - began)


def singly(url: str, count: int, few: int) -> float:
    """What group commits are worth: the first `few` events, each with its own fsync."""
    from appends import new_run

    from arkor.core.record import Entry

    writer, run_id = new_run()

    async def read() -> int:
        seen = 0
        async for frames in events(url):
            for frame in frames:
                entry = Entry("stream", frame.event, frame.data, frame.id)
                writer.append(run_id, [entry], epoch=1, durable=True)
                seen += 1
                if seen == few:
                    return seen
        return seen

    began = time.perf_counter()
    assert asyncio.run(read()) == min(few, count)
    return few / (time.perf_counter() - began)


async def events(url: str):
    """The batches of Arkor's own client, from the job's first event."""
    from arkor import CloudApiClient, Scope
    from arkor.client.stream import open_events
    from arkor.store.credentials import AnonymousCredentials

    credentials = AnonymousCredentials("token-of-this-run", "a", "org")
    async with (
        CloudApiClient(url, credentials) as api,
        open_events(api, Scope("org", "project"), "job-1") as stream,
    ):
        async for frames in stream.batches():
            yield frames


__all__ = ["TITLE", "arkor", "events", "parse", "rows", "singly", "trainer"]
