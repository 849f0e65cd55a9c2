"""Run the experiments, tell how they go on stderr, and print one table of figures."""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from experiments import EXPERIMENTS, Experiment, Found


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Every promise at full size.")
    names = [each.name for each in EXPERIMENTS]
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"which: {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    if unknown := set(given.only) - set(names):
        parser.error(f"no such experiment: {', '.join(sorted(unknown))}")
    print(
        f"seed {given.seed}: scripts/soak --seed {given.seed} runs the same again", file=sys.stderr
    )
    rows = []
    for each in EXPERIMENTS:
        if each.name in given.only or not given.only:
            rows.append(measured(each, given.seed))
            if not given.json:
                print(line(rows[-1]), flush=True)
    if given.json:
        print(json.dumps({"seed": given.seed, "experiments": rows}, indent=2))
    return int(any(row["wrong"] for row in rows))


def measured(experiment: Experiment, seed: int) -> dict[str, object]:
    """One row: what was done, what was wrong with it, and how long that took."""
    began = time.monotonic()

    def say(text: str) -> None:
        seconds = time.monotonic() - began
        print(f"  {experiment.name} {seconds:5.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="arkor-soak-") as folder:
        try:
            found = experiment.run(Path(folder) / "scene", seed, say)
        except Exception as error:
            # The others are still worth their time; this one has failed.
            found = Found(wrong={type(error).__name__: str(error)[-1000:]})
    return {
        "name": experiment.name,
        "title": experiment.title,
        "done": found.done,
        "wrong": found.wrong,
        "not_run": found.not_run,
        "seconds": round(time.monotonic() - began, 1),
    }


def line(row: dict[str, object]) -> str:
    """A row of the table, for people."""
    done = row["done"] if isinstance(row["done"], dict) else {}
    said = ", ".join(f"{name} {value}" for name, value in done.items())
    verdict = f"not run: {row['not_run']}" if row["not_run"] else f"wrong: {row['wrong'] or 0}"
    return f"{row['title']:<50} {row['seconds']:>7} s  {verdict}\n    {said}"


if __name__ == "__main__":
    sys.exit(main())
