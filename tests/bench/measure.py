"""Measuring things beside each other: in turns, each in a process of its own, as ratios."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Figure", "Row", "Size", "Subject", "beside", "call", "child", "plain", "source"]

BENCH = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    """How much is measured. `scale` is 1 at full size."""

    rounds: int = 9
    scale: float = 1.0

    def of(self, full: int, least: int = 1) -> int:
        """So many at this size."""
        return max(least, round(full * self.scale))


@dataclass(frozen=True)
class Figure:
    """Several measurements of one thing: their median, and from where to where they went."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(min(self.values))} .. {short(max(self.values))})"


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is to `reference`, round by round; larger is faster."""

    what: str
    figure: Figure
    unit: str
    reference: str | None = None
    ratio: Figure | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        ratio = self.ratio
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.figure.median,
            "values": self.figure.values,
            "reference": self.reference,
            "ratio": ratio and {"median": ratio.median, "values": ratio.values},
            "note": self.note,
        }


def short(value: float) -> str:
    """A number as people read it: three digits that count."""
    if abs(value) >= 1000:
        return f"{round(value, -len(str(int(abs(value)))) + 3):,.0f}"
    return f"{value:.3g}"


Subject = Callable[[], float]


def beside(
    subjects: Mapping[str, Subject],
    unit: str,
    *,
    reference: str,
    rounds: int,
    inverse: bool = False,
) -> list[Row]:
    """Measure each subject once a round, in an order that changes; rates, so larger is faster.

    The ratio is that of a subject to the `reference`, or, `inverse`, of the reference to it.
    """
    values: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            values[name].append(subjects[name]())
    base = values[reference]

    def row(name: str) -> Row:
        figure = Figure(tuple(values[name]))
        if name == reference:
            return Row(name, figure, unit)
        pairs = zip(values[name], base, strict=True)
        ratio = Figure(tuple(b / a if inverse else a / b for a, b in pairs))
        words = f"times as fast is {reference}" if inverse else f"of {reference}"
        return Row(name, figure, unit, words, ratio)

    return [row(name) for name in names]


def plain(what: str, unit: str, subject: Subject, *, rounds: int, note: str = "") -> Row:
    """Measure something that stands beside nothing."""
    return Row(what, Figure(tuple(subject() for _ in range(rounds))), unit, note=note)


def call(function: str, /, **given: Any) -> Any:
    """Call `module:function` in a process and a folder of its own; what it returns, as JSON.

    The folder is its `ARKOR_HOME`, unless `home` names another.
    """
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        home = given.pop("home", None) or str(Path(folder) / "home")
        environ = {**os.environ, "ARKOR_HOME": home, "HOME": folder, "ARKOR_BENCH_FOLDER": folder}
        command = [sys.executable, str(BENCH / "measure.py"), function, json.dumps(given)]
        done = subprocess.run(
            command, env=environ, cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{function} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def child(function: str, /, **given: Any) -> Subject:
    """A subject that calls `function` in a process of its own."""
    return lambda: float(call(function, **given))


@contextmanager
def source(count: int, shape: str) -> Iterator[str]:
    """A backend in a process of its own, whose one job has `count` events; its address.

    `shape` is `each` (an HTTP chunk for each event) or `big` (a chunk for some 300 of them).
    """
    command = [sys.executable, str(BENCH / "backend.py"), str(count), shape]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as backend:
        assert backend.stdout is not None
        assert backend.stdin is not None
        yield backend.stdout.readline().strip()
        backend.stdin.close()


def main() -> None:
    sys.path.insert(0, str(BENCH))
    module, _, name = sys.argv[1].partition(":")
    given = json.loads(sys.argv[2])
    print(json.dumps(getattr(__import__(module), name)(**given)), flush=True)
    # What a peer leaves running is not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
