"""What `import arkor` costs, and the import of what every training program uses of it.

Both stand beside importing sqlalchemy and httpx alone, which nothing imports before it is used.
Each figure is the median over fresh processes, taken in turns. Processor time is measured, which
other programs on the machine change least. Exits 1 if one is above its limit.
"""

import argparse
import statistics
import subprocess
import sys

TIMED = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
BASE = "import sqlalchemy, httpx"
LIMITS = {"import arkor": 0.25, "from arkor import create_trainer": 1.35}
"""How often the time of the base each may take."""


def seconds(statement: str) -> float:
    command = [sys.executable, "-c", TIMED.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=15)
    options = parser.parse_args()

    statements = (*LIMITS, BASE)
    rounds = [[seconds(each) for each in statements] for _ in range(options.processes + 1)]
    columns = zip(*rounds[1:], strict=True)  # the first round writes the bytecode
    medians = dict(zip(statements, map(statistics.median, columns), strict=True))
    print(f"{BASE}: {medians[BASE] * 1e3:.0f} ms")
    for statement, limit in LIMITS.items():
        ratio = medians[statement] / medians[BASE]
        print(
            f"{statement}: {medians[statement] * 1e3:.0f} ms, ratio {ratio:.2f} (at most {limit})"
        )
    return int(any(medians[each] > limit * medians[BASE] for each, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
