"""One bit flipped anywhere in a journal's file: nothing crashes, and no record is silently wrong."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from arkor.core.notes import SubmitRequested, entry_of
from arkor.core.record import Entry, Record
from arkor.errors import ArkorError
from arkor.store.journal import Journal
from arkor.store.owner import current_owner
from arkor.store.writer import NewRun, Writer

__all__ = ["Flip", "flip_bits", "make_journal"]

Logs = dict[str, list[Record]]


@dataclass(frozen=True)
class Flip:
    """What came of one flipped bit; `wrong` is what must not have come of it."""

    offset: int
    outcome: str
    wrong: str | None = None


def make_journal(path: Path, runs: int = 4, records: int = 300) -> None:
    """A journal whose pages are nearly all full of records, closed."""
    writer = Writer(path)
    for number in range(runs):
        row = NewRun(
            name=f"run-{number}",
            project_root="/p",
            org_slug="o",
            project_slug="p",
            fingerprint="f",
            job_id=f"job-{number}",
        )
        wish = SubmitRequested(
            name=row.name,
            config={"model": "arkor/tiny"},
            fingerprint="f",
            idempotency_key=row.run_id,
            base_url="local",
            org_slug="o",
            project_slug="p",
            project_root="/p",
        )
        with writer.transaction(durable=False) as tx:
            tx.create_run(row, [entry_of(wish)], current_owner())
            tx.append(row.run_id, [_event(n) for n in range(records)], epoch=1)
    writer.close()


def flip_bits(path: Path, folder: Path, count: int, seed: int) -> Iterator[Flip]:
    """Flip a random bit in each of `count` copies of the journal at `path`, and read them."""
    generator, true = random.Random(seed), _read(path)
    size = path.stat().st_size
    for number in range(count):
        offset, bit = generator.randrange(size), generator.randrange(8)
        copy = folder / f"flipped-{number}.db"
        shutil.copyfile(path, copy)
        _flip(copy, offset, bit)
        yield _judge(copy, true, offset)
        for left in folder.glob(f"{copy.name}*"):
            left.unlink()


def _event(n: int) -> Entry:
    data = f'{{"type":"training.log","step":{n},"loss":{1 / (n + 1):.6f},"text":"grüß dich"}}'
    return Entry("stream", "training.log", data, None if n % 3 == 0 else str(n))


def _flip(file: Path, offset: int, bit: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 1 << bit]))


def _read(path: Path) -> Logs:
    journal = Journal(path)
    try:
        return {row.run_id: list(journal.records(row.run_id)) for row in journal.runs()}
    finally:
        journal.close()


def _judge(path: Path, true: Logs, offset: int) -> Flip:
    outcomes: Counter[str] = Counter()
    wrong = None
    journal = Journal(path)
    try:
        for run_id, records in true.items():
            outcome, trouble = _outcome(journal, run_id, records)
            outcomes[outcome] += 1
            wrong = wrong or trouble
    except Exception as error:  # whatever is no error of ours is what this looks for
        wrong = f"{type(error).__name__}: {error}"
    finally:
        journal.close()
    outcome = next((each for each in ("error", "found") if outcomes[each]), "harmless")
    return Flip(offset, outcome, wrong)


def _outcome(journal: Journal, run_id: str, true: list[Record]) -> tuple[str, str | None]:
    refused = False
    read: list[Record] = []
    try:
        journal.run(run_id)
        read = list(journal.records(run_id))
    except ArkorError:
        refused = True
    try:
        report = journal.verify(run_id)
    except ArkorError:
        return "error", None
    if not report.ok:
        return "found", None
    if refused:
        return "error", None
    if read != true or report.head != true[-1].digest.hex():
        return "wrong", f"{run_id} verifies, and has other records"
    return "harmless", None
