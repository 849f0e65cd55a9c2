"""One recorded run, replayed in other processes of other hash seeds, time zones and locales.

`python replayed.py record URL` records it, `python replayed.py replay TIMES` replays it; each
prints a digest of everything that the callbacks were given, by line.
"""

import asyncio
import hashlib
import locale
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arkor import (
    AnonymousCredentials,
    TrainerCallbacks,
    TrainerOptions,
    create_trainer,
    open_journal,
)
from arkor.runner.replay import replay

SETTINGS = [
    {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "PYTHONUTF8": utf8}
    for seed, zone, language, utf8 in (
        ("0", "UTC0", "C", "0"),
        ("1", "NPT-5:45", "C.UTF-8", "1"),
        ("42", "NST3:30NDT,M3.2.0,M11.1.0", "de_DE.UTF-8", "1"),
        ("random", "LINT-14", "tr_TR.UTF-8", "0"),
        ("7", "AOE12", "ja_JP.UTF-8", "1"),
        ("8", "IST-5:30", "POSIX", "0"),
        ("9", "CET-1CEST,M3.5.0,M10.5.0/3", "fr_FR.ISO-8859-1", "1"),
        ("10", "ACST-9:30", "en_US.UTF-8", "0"),
        ("11", "MST7", "C", "1"),
        ("random", "UTC0", "ar_EG.UTF-8", "1"),
    )
]
QUESTION = [{"role": "user", "content": "Grüß Gott?"}]


class Trace:
    """A digest over everything that callbacks are given, call by call."""

    def __init__(self) -> None:
        self._seen = hashlib.sha256()
        self.calls = 0

    def see(self, consumer: str, ctx: Any, *more: Any) -> None:
        given = (ctx.job, ctx.event, ctx.now, ctx.random.random(), ctx.idempotency_key("k"), *more)
        self._seen.update(f"{consumer}:{given!r}\n".encode("utf-8", "surrogatepass"))
        self.calls += 1

    def __str__(self) -> str:
        return f"{self.calls} {self._seen.hexdigest()}"


def consumers(trace: Trace) -> list[TrainerCallbacks]:
    """Callbacks that look at all they are given, and whose effects cannot be made again."""

    async def on_checkpoint(ctx: Any) -> None:
        made = await ctx.once("clock", time.time_ns)
        hashed = await ctx.once("hash", hash, "a text")
        named = await ctx.once("names", os.urandom(4).hex)
        words = {"one", "two", "three"}
        told = await ctx.once("told", lambda of, **named: sorted(of), sorted(words), when=ctx.now)
        answer = await ctx.infer(QUESTION, temperature=0.5)
        pieces = [piece async for piece in ctx.infer.stream(QUESTION)]
        trace.see("first", ctx, made, hashed, named, told, answer.text, pieces, ctx.adapter)

    return [
        TrainerCallbacks(
            name="first",
            on_started=lambda ctx: trace.see("first", ctx),
            on_log=lambda ctx: trace.see("first", ctx, ctx.loss, ctx.learning_rate),
            on_checkpoint=on_checkpoint,
            on_completed=lambda ctx: trace.see("first", ctx, ctx.artifacts),
        ),
        TrainerCallbacks(name="second", on_event=lambda ctx: trace.see("second", ctx)),
    ]


def record(url: str) -> None:
    """Record the run, and print what its callbacks were given."""
    trace = Trace()
    create_trainer(
        name="Prüfung",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=consumers(trace),
        options=TrainerOptions(
            base_url=url,
            credentials=AnonymousCredentials(
                token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
            ),
        ),
    ).wait_sync()
    print(trace)


def replays(times: int) -> None:
    """Replay it so many times."""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:  # not every machine has every locale; the variables are set all the same
        locale.setlocale(locale.LC_ALL, "C")
    run = open_journal().resolve("@last")
    for _ in range(times):
        trace = Trace()
        report = asyncio.run(replay(run, consumers(trace)))
        assert report.ok
        print(trace)


def traces(home: Path, *arguments: str, **environ: str) -> Iterator[str]:
    """What a process of this program prints."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        cwd=home.parent,
        env={**os.environ, "HOME": str(home.parent), "ARKOR_HOME": str(home), **environ,
             "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    yield from done.stdout.splitlines()


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(sys.argv[2])
    else:
        replays(int(sys.argv[2]))
