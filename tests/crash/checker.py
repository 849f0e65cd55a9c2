"""The judge of a crashed and resumed run. It knows the tables and the files, and nothing of Arkor.

What the journal holds is compared with the backend's own stream and jobs, and with what the
callbacks themselves wrote down.
"""

import hashlib
import json
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

OWED = {
    "plain": {"training.log": "on_log", "checkpoint.saved": "on_checkpoint",
              "training.completed": "on_completed"},
    "coroutines": {"training.log": "on_log", "checkpoint.saved": "on_checkpoint"},
    "stateful": {"training.log": "on_log", "checkpoint.saved": "on_checkpoint",
                 "training.completed": "on_completed"},
}  # fmt: skip
"""The calls of each consumer of child.py, by the event's type. `stateful` replays."""

Line = Mapping[str, Any]
Sent = list[tuple[str, str]]


@dataclass
class Verdict:
    """What is wrong with a run, in figures; all are 0 but the first three, and `repeated`.

    `repeated` is the most calls of one consumer that were made again after one crash, and
    `effects_repeated` how many effects ran twice: both may be 1 for each crash.
    """

    events: int = 0
    calls: int = 0
    effects: int = 0
    repeated: int = 0
    effects_repeated: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    broken_records: int = 0
    second_jobs: int = 0
    second_runs: int = 0
    unsettled: int = 0
    calls_lost: int = 0
    calls_out_of_order: int = 0
    repeats_unsaid: int = 0
    wrong_states: int = 0
    receipts_lost: int = 0
    receipts_doubled: int = 0
    effects_lost: int = 0
    effects_repeated_by_one_process: int = 0
    effect_records_doubled: int = 0
    calls_beside_the_owner: int = 0
    epochs_out_of_order: int = 0
    receipts_of_others: int = 0

    def wrong(self) -> dict[str, int]:
        """The figures that must be 0 and are not."""
        counted = [each.name for each in fields(self)[5:]]
        found = {name: value for name in counted if (value := getattr(self, name))}
        return found | ({"repeated": self.repeated} if self.repeated > 1 else {})

    def add(self, other: "Verdict") -> None:
        """Add up what several runs came to."""
        for name, value in asdict(other).items():
            worst = max if name == "repeated" else int.__add__
            setattr(self, name, worst(getattr(self, name), value))


RECORDS = """
    SELECT seq, source, type, sse_id, data, digest,
        strftime('%Y-%m-%dT%H:%M:%S', recorded_at / 1000000, 'unixepoch')
        || printf('.%06dZ', recorded_at % 1000000) AS recorded_at
    FROM records JOIN kinds ON kinds.id = kind ORDER BY run, seq
"""


def judge(database: Path, told: Path, url: str, jobs: int) -> Verdict:
    """The verdict on the one run of a journal, once it has been waited for to its end."""
    verdict = Verdict(second_jobs=jobs - 1)
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        runs = connection.execute("SELECT * FROM runs").fetchall()
        records = connection.execute(RECORDS).fetchall()
    connection.close()
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    verdict.second_runs = len(runs) - 1
    verdict.unsettled = sum(not run["settled"] for run in runs)
    events = [record for record in records if record["sse_id"] is not None]
    notes = [record for record in records if record["source"] == "local"]
    _judge_chain(runs[0]["run_id"], records, verdict)
    sent = fetch(url, runs[0]["job_id"])
    places = {event["seq"]: event["sse_id"] for event in events}
    _judge_events(events, sent, verdict)
    _judge_calls(sent, lines, verdict)
    _judge_receipts(places, sent, notes, verdict)
    _judge_effects(places, sent, notes, lines, verdict)
    _judge_owners(places, notes, lines, verdict)
    return verdict


def fetch(url: str, job: str) -> Sent:
    """The backend's own list of the job's events: id and data of each."""
    with urllib.request.urlopen(f"{url}/v1/jobs/{job}/events/stream", timeout=60) as answer:
        frames = answer.read().decode().strip().split("\n\n")
    parsed = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]
    return [(frame["id"], frame["data"]) for frame in parsed if "id" in frame]


def digest(previous: bytes, *values: Any) -> bytes:
    """P10 of the contract: sha256(previous || each field's text after its length)."""
    form = b""
    for value in values:
        text = b"" if value is None else str(value).encode()
        form += (b"\xff" * 8 if value is None else len(text).to_bytes(8, "big")) + text
    return hashlib.sha256(previous + form).digest()


def _judge_chain(run: str, records: Iterable[sqlite3.Row], verdict: Verdict) -> None:
    last = bytes(32)
    for place, r in enumerate(records, 1):
        named = (r["source"], r["type"], r["sse_id"], r["recorded_at"], r["data"])
        last = digest(last, run, place, *named)
        verdict.broken_records += (r["seq"], r["digest"]) != (place, last)


def _judge_events(events: list[sqlite3.Row], sent: Sent, verdict: Verdict) -> None:
    kept = [(event["sse_id"], event["data"]) for event in events]
    counts = Counter(kept)
    verdict.events = len(kept)
    verdict.lost = sum(each not in counts for each in sent)
    verdict.duplicated = sum(counts.values()) - len(counts)
    verdict.out_of_order = int(kept != sent)


def owed(sent: Sent, consumer: str) -> list[tuple[str, str]]:
    """The calls that a consumer is owed: the event's id, and the callback."""
    names = OWED[consumer]
    typed = ((event, json.loads(data)["type"]) for event, data in sent)
    return [(event, names[kind]) for event, kind in typed if kind in names]


def _judge_calls(sent: Sent, lines: list[Line], verdict: Verdict) -> None:
    made = [line for line in lines if "call" in line]
    verdict.calls = len(made)
    for consumer in OWED:
        expected = owed(sent, consumer)
        places = {call: place for place, call in enumerate(expected)}
        mine = [line for line in made if line["call"]["consumer"] == consumer]
        order = [places[line["call"]["event"], line["call"]["callback"]] for line in mine]
        verdict.calls_lost += len(set(range(len(expected))) - set(order))
        checkpoints = [n for n, (_, callback) in enumerate(expected) if callback == "on_checkpoint"]
        previous, pid = -1, None
        for line, place in zip(mine, order, strict=True):
            first_of_process, pid = line["pid"] != pid, line["pid"]
            again = previous + 1 - place
            if again > 0 and first_of_process:
                if consumer == "stateful":
                    # Its receipts are those of checkpoints: what came since may be repeated.
                    kept = max((n for n in checkpoints if n < previous), default=-1)
                    verdict.calls_out_of_order += place <= kept
                else:
                    verdict.repeated = max(verdict.repeated, again)
                    verdict.repeats_unsaid += line["attempt"] < 2
            elif again != 0:
                verdict.calls_out_of_order += 1
            previous = place
        if consumer == "stateful":
            _judge_states(sent, mine, verdict)


def _judge_states(sent: Sent, mine: list[Line], verdict: Verdict) -> None:
    chain, states = hashlib.sha256(), {}
    called = {event for event, _ in owed(sent, "stateful")}
    for event, data in sent:
        if event in called:
            chain.update(data.encode())
            states[event] = chain.hexdigest()
    verdict.wrong_states = sum(line["state"] != states[line["call"]["event"]] for line in mine)


def _judge_receipts(
    places: Mapping[int, str], sent: Sent, notes: list[sqlite3.Row], verdict: Verdict
) -> None:
    given: Counter[tuple[str, str | None, str]] = Counter()
    for note in notes:
        if note["type"] == "arkor.callback.completed":
            said = json.loads(note["data"])
            if said["callback"] is not None:
                given[said["consumer"], places.get(said["record"]), said["callback"]] += 1
    verdict.receipts_doubled = sum(count - 1 for count in given.values())
    for consumer in ("plain", "coroutines"):
        calls = owed(sent, consumer)
        verdict.receipts_lost += sum((consumer, *call) not in given for call in calls)


def _judge_effects(
    places: Mapping[int, str],
    sent: Sent,
    notes: list[sqlite3.Row],
    lines: list[Line],
    verdict: Verdict,
) -> None:
    ran = Counter(line["effect"] for line in lines if "effect" in line)
    recorded: Counter[tuple[str, str | None]] = Counter()
    for note in notes:
        if note["type"] == "arkor.step.completed":
            said = json.loads(note["data"])
            recorded[said["consumer"], places.get(said["record"])] += 1
    checkpoints = [event for event, callback in owed(sent, "plain") if callback == "on_checkpoint"]
    expected = {(consumer, event) for consumer in OWED for event in checkpoints}
    verdict.effects = len(ran)
    verdict.effects_repeated = sum(count > 1 for count in ran.values())
    # Each crash may repeat the effect that was under way; no process repeats one by itself.
    by_process = Counter((line["effect"], line["pid"]) for line in lines if "effect" in line)
    verdict.effects_repeated_by_one_process = sum(count > 1 for count in by_process.values())
    # One key for each effect, however often it ran: more keys than effects are lost ones, too.
    verdict.effects_lost = len(expected - recorded.keys()) + abs(len(expected) - len(ran))
    verdict.effect_records_doubled = sum(count - 1 for count in recorded.values())


def _judge_owners(
    places: Mapping[int, str], notes: list[sqlite3.Row], lines: list[Line], verdict: Verdict
) -> None:
    epochs = [json.loads(n["data"])["epoch"] for n in notes if n["type"] == "arkor.resumed"]
    verdict.epochs_out_of_order = sum(after <= before for before, after in pairwise([1, *epochs]))
    owner = None
    for line in lines:
        if "owner" in line:
            owner = line["pid"]
        elif "call" in line:
            verdict.calls_beside_the_owner += line["pid"] != owner
    _judge_signatures(places, notes, lines, verdict)


def _judge_signatures(
    places: Mapping[int, str], notes: list[sqlite3.Row], lines: list[Line], verdict: Verdict
) -> None:
    """Each receipt must be for a call that its owner, of that epoch, has itself made."""
    pids = {line["owner"]: line["pid"] for line in reversed(lines) if "owner" in line}
    made = {
        (line["pid"], line["attempt"], *line["call"].values()) for line in lines if "call" in line
    }
    epoch = 1
    for note in notes:
        said = json.loads(note["data"])
        if note["type"] == "arkor.resumed":
            epoch = said["epoch"]
        elif note["type"] == "arkor.callback.completed" and said["callback"] is not None:
            call = (said["consumer"], said["callback"], places.get(said["record"]))
            verdict.receipts_of_others += (pids.get(epoch), said["attempt"], *call) not in made
