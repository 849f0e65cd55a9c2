"""What `import arkor` costs, beside importing sqlalchemy and httpx alone.

Each figure is the median over fresh processes, taken in turns. Processor time is measured, which
other programs on the machine change least. Exits 1 above `--at-most`.
"""

import argparse
import statistics
import subprocess
import sys

TIMED = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def seconds(modules: str) -> float:
    command = [sys.executable, "-c", TIMED.format(modules)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=15)
    parser.add_argument("--at-most", type=float, default=1.25, metavar="RATIO")
    options = parser.parse_args()

    seconds("arkor")  # writes the bytecode
    pairs = [(seconds("arkor"), seconds("sqlalchemy, httpx")) for _ in range(options.processes)]
    ours, base = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"import arkor: {ours * 1e3:.0f} ms, sqlalchemy and httpx: {base * 1e3:.0f} ms,")
    print(f"ratio {ours / base:.2f} (at most {options.at_most})")
    return int(ours / base > options.at_most)


if __name__ == "__main__":
    sys.exit(main())
