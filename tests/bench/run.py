"""Measure Arkor beside the raw limit and its peers, and print one table of ratios."""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import Row, Size, short

SUBJECTS = (
    "appends",
    "ingest",
    "delivery",
    "latency",
    "resume",
    "reading",
    "concurrency",
    "startup",
    "memory",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is full size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    given = parser.parse_args()
    if unknown := set(given.only) - set(SUBJECTS):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    size = Size(given.rounds, given.scale)
    measured = {}
    for name in SUBJECTS:
        if name in given.only or not given.only:
            module = importlib.import_module(name)
            began = time.monotonic()
            rows = module.rows(size)
            measured[name] = [row.to_json() for row in rows]
            print(f"\n## {module.TITLE}  ({time.monotonic() - began:.0f} s)\n", flush=True)
            print("\n".join(table(rows)), flush=True)
    if given.json:
        whole = {"rounds": given.rounds, "scale": given.scale, "measured": measured}
        given.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 0


def table(rows: list[Row]) -> list[str]:
    """The rows as a Markdown table: median (least .. greatest)."""
    lines = ["| what | figure | ratio to |", "| --- | --- | --- |"]
    for row in rows:
        what = f"{row.what}; {row.note}" if row.note else row.what
        ratio = "" if row.ratio is None else f"{row.ratio} {row.reference}"
        lines.append(f"| {what} | {row.figure} {row.unit} | {ratio} |")
    return lines


__all__ = ["main", "short", "table"]

if __name__ == "__main__":
    sys.exit(main())
