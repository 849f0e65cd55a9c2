"""What scripts/soak runs: each promise at its full size. tests/crash has the same, scaled down."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "crash"), str(ROOT / "tests" / "store")]

from bitflips import flip_bits, make_journal  # noqa: E402
from checker import Verdict  # noqa: E402
from failing_disk import FAULTS, available, fail_each  # noqa: E402
from mutants import SOURCE, callbacks, mutants, variants  # noqa: E402
from points import BEFORE_THE_JOB, CODE, TAKING, WIRE, kill_at  # noqa: E402
from random_kills import random_kills  # noqa: E402
from replayed import SETTINGS, traces  # noqa: E402
from rivals import rivals, stalled  # noqa: E402
from scene import story  # noqa: E402

from arkor.testing import ScriptedBackend  # noqa: E402

__all__ = ["EXPERIMENTS", "Experiment", "Found"]

Say = Callable[[str], None]


@dataclass
class Found:
    """What an experiment came to: how much was done, and what was wrong with it."""

    done: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)
    not_run: str | None = None


@dataclass(frozen=True)
class Experiment:
    """One line of the table. `run` is given a new folder, a seed, and somebody to tell."""

    name: str
    title: str
    run: Callable[[Path, int, Say], Found]


def thirty_kills(folder: Path, seed: int, say: Say) -> Found:
    total, kills = Verdict(), 0
    for number in range(10):
        total.add(random_kills(folder / str(number), kills=30, seed=seed + number))
        kills += 30
        say(f"{kills} kills, wrong: {total.wrong()}")
    return Found({"kills": kills, **figures(total)}, total.wrong())


def named_points(folder: Path, seed: int, say: Say) -> Found:
    total = Verdict()
    cases = [(point, True) for point in (*CODE, *TAKING, *WIRE)]
    cases += [(point, False) for point in (*BEFORE_THE_JOB, *WIRE)]
    for number, (point, idempotency) in enumerate(cases):
        total.add(kill_at(folder / str(number), point, idempotency=idempotency))
        say(f"{point}: wrong: {total.wrong()}")
    return Found({"points": len(cases), **figures(total)}, total.wrong())


def failing_disk(folder: Path, seed: int, say: Say) -> Found:
    if not available():
        return Found(not_run="needs strace(1): apt-get install strace")
    found = Found({"faults": 0, "typed errors": 0, "harmless": 0})
    for fault in FAULTS:
        for failure in fail_each(folder, fault):
            found.done["faults"] += 1
            found.done["typed errors" if failure.error else "harmless"] += 1
            if failure.wrong:
                found.wrong[failure.fault] = failure.wrong
            say(f"{failure.fault}: {failure.error}, wrong: {failure.wrong}")
    return found


def rivalry(processes: int) -> Callable[[Path, int, Say], Found]:
    def run(folder: Path, seed: int, say: Say) -> Found:
        verdict = rivals(folder, processes=processes, kills=20, seed=seed)
        return Found({"processes": processes, "kills": 20, **figures(verdict)}, verdict.wrong())

    return run


def stalled_owner(folder: Path, seed: int, say: Say) -> Found:
    verdict = stalled(folder, really=True)
    return Found({"seconds stalled": 30, **figures(verdict)}, verdict.wrong())


def replays(folder: Path, seed: int, say: Say) -> Found:
    folder.mkdir()
    with ScriptedBackend(story(60, checkpoint_every=6), chat="Ja, grüß dich!") as backend:
        found = list(traces(folder / "store", "record", backend.url))
    for setting in SETTINGS:
        found += traces(folder / "store", "replay", "20", **setting)
    others = len(set(found)) - 1
    done = {"replays": len(found) - 1, "settings": len(SETTINGS)}
    return Found(done, {"other traces": others} if others else {})


def mutation(folder: Path, seed: int, say: Say) -> Found:
    from arkor import AnonymousCredentials, TrainerOptions, create_trainer
    from arkor.runner.replay import replay

    folder.mkdir()
    with ScriptedBackend(story(10), chat="yes") as backend, home(folder):
        identity = AnonymousCredentials("a-token-of-this-test-0123", "anon-1", "anon-org")
        trainer = create_trainer(
            name="original",
            model="owner/model",
            dataset={"type": "huggingface", "name": "owner/data"},
            callbacks=callbacks(SOURCE),
            options=TrainerOptions(base_url=backend.url, cwd=folder, credentials=identity),
        )
        trainer.wait_sync()
        run = trainer.run_id or ""

        def alarmed(source: str) -> bool:
            return not asyncio.run(replay(run, callbacks(source), strict=False)).ok

        changed, same = dict(mutants()), list(variants(seed, 200))
        missed = [name for name, source in changed.items() if not alarmed(source)]
        false = sum(alarmed(source) for source in same)
    done = {"mutants": len(changed), "found": len(changed) - len(missed), "variants": len(same)}
    wrong = {"not found": missed, "false alarms": false}
    return Found(done, {name: value for name, value in wrong.items() if value})


def backlog(folder: Path, seed: int, say: Say) -> Found:
    done = program(sys.executable, "-m", "tests.weather.backlog", "1000000")
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    over = said.get("peak_rss_mb", 1e9) >= 200 or said.get("events") != 1_000_000
    return Found(said, {"backlog": said or done.stderr[-500:]} if over else {})


def state_machine(folder: Path, seed: int, say: Say) -> Found:
    tests = "tests/weather/test_state_machine.py"
    done = program(
        sys.executable, "-m", "pytest", "-q", "-n", "0", "-o", "timeout=0", tests,
        WEATHER_EXAMPLES="300",
    )  # fmt: skip
    last = re.sub(r"=+", "", done.stdout.strip().splitlines()[-1]).strip()
    return Found({"examples": 300, "pytest": last}, {"pytest": last} if done.returncode else {})


def export(folder: Path, seed: int, say: Say) -> Found:
    folder.mkdir(mode=0o700)
    done = program(sys.executable, "-m", "tests.soak.exporting", str(folder), "1000000")
    if done.returncode:
        return Found(wrong={"export": done.stderr[-500:]})
    said = json.loads(done.stdout)
    steps = {name: each for name, each in said.items() if isinstance(each, dict)}
    over = {
        name: each
        for name, each in steps.items()
        if each["peak_rss_mb"] >= (400 if name == "parquet" else 150) or not each["whole"]
    }
    return Found(said, over)


def report(folder: Path, seed: int, say: Say) -> Found:
    folder.mkdir(mode=0o700)
    done = program(sys.executable, "-m", "tests.soak.reporting", str(folder), "1000000")
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    wrong = said.get("peak_rss_mb", 1e9) >= 200 or not said.get("ok") or said["page_mb"] > 8
    return Found(said, {"report": said or done.stderr[-500:]} if wrong else {})


def bit_flips(folder: Path, seed: int, say: Say) -> Found:
    path = folder / "arkor.db"
    make_journal(path, runs=8)
    outcomes: Counter[str] = Counter()
    found = Found()
    for number, flip in enumerate(flip_bits(path, folder, count=500, seed=seed), 1):
        outcomes[flip.outcome] += 1
        if flip.wrong:
            found.wrong[f"offset {flip.offset}"] = flip.wrong
        if number % 100 == 0:
            say(f"{number} flips: {dict(outcomes)}, wrong: {found.wrong}")
    found.done = {"flips": outcomes.total(), **outcomes}
    return found


def verifying(folder: Path, seed: int, say: Say) -> Found:
    folder.mkdir()
    done = program(sys.executable, "tests/soak/million.py", "1000000", str(folder))
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    good = said.get("ok") and said["seconds"] < 5 and said["peak_rss_mb"] < 150
    return Found(said, {} if good else {"verify": said or done.stderr[-500:]})


def program(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def figures(verdict: Verdict) -> dict[str, int]:
    """What a verdict counted, as opposed to what it found wrong."""
    return {
        "events": verdict.events,
        "calls": verdict.calls,
        "effects": verdict.effects,
        "repeated per kill": verdict.repeated,
        "effects run twice": verdict.effects_repeated,
    }


@contextmanager
def home(folder: Path) -> Any:
    before = os.environ.get("ARKOR_HOME")
    os.environ["ARKOR_HOME"] = str(folder / "store")
    try:
        yield
    finally:
        del os.environ["ARKOR_HOME"]
        if before is not None:
            os.environ["ARKOR_HOME"] = before


EXPERIMENTS = (
    Experiment("kills", "kill -9 at random: 2,000 events, 3 consumers", thirty_kills),
    Experiment("points", "kill -9 at every named point", named_points),
    Experiment("disk", "the N-th write or sync fails, each N", failing_disk),
    Experiment("two", "two processes on one run, the leader killed", rivalry(2)),
    Experiment("eight", "eight processes on one run, the leader killed", rivalry(8)),
    Experiment("stall", "the leader stalls for longer than its lease", stalled_owner),
    Experiment("replays", "one log replayed: hash seeds, zones, locales", replays),
    Experiment("mutants", "callbacks changed, and merely written otherwise", mutation),
    Experiment("backlog", "a backlog of 1,000,000 events", backlog),
    Experiment("export", "1,000,000 records in each format, and back", export),
    Experiment("flips", "one bit of the journal's file flipped", bit_flips),
    Experiment("verify", "a log of 1,000,000 records verified", verifying),
    Experiment("machine", "a state machine against a model", state_machine),
    Experiment("report", "the report of a run of 1,000,000 records", report),
)
