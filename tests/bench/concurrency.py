"""Many runs at once: in one process, and in eight processes on one journal."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Row, Size, call, plain, source

TITLE = "Many runs at once"


def rows(size: Size) -> list[Row]:
    rounds = max(1, size.rounds // 3)
    found = []
    for runs in sorted({size.of(full, min(full, 2)) for full in (1, 10, 100, 500)}):
        events = size.of(20_000, 60) // runs + 1
        with source(events, "each") as url:

            def together(runs: int = runs, events: int = events, url: str = url) -> float:
                return float(call("concurrency:together", url=url, runs=runs, events=events))

            what = f"{runs} runs in one process, {events} events each"
            found.append(plain(what, "events/s in all", together, rounds=rounds))
    events = size.of(3000, 50)
    with source(events, "each") as url:
        what = f"8 processes on one journal, {events} events each"
        found.append(plain(what, "events/s in all", lambda: _apart(url, events), rounds=rounds))
    return found


def together(url: str, runs: int, events: int) -> float:
    from ingest import trainer

    calls = 0

    async def count(ctx: object) -> None:
        nonlocal calls
        calls += 1

    async def main() -> None:
        trainers = [trainer(url, callbacks={"on_log": count}, resume="never") for _ in range(runs)]
        await asyncio.gather(*(each.start() for each in trainers))
        await asyncio.gather(*(each.wait() for each in trainers))

    began = time.perf_counter()
    asyncio.run(main())
    assert calls == runs * (events - 1)
    return runs * events / (time.perf_counter() - began)


def _apart(url: str, events: int) -> float:
    with TemporaryDirectory(prefix="arkor-bench-") as folder, ThreadPoolExecutor(8) as threads:
        home = str(Path(folder) / "home")
        began = time.perf_counter()
        done = [
            threads.submit(call, "concurrency:together", home=home, url=url, runs=1, events=events)
            for _ in range(8)
        ]
        for each in done:
            each.result()
        return 8 * events / (time.perf_counter() - began)


__all__ = ["TITLE", "rows", "together"]
