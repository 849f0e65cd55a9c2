"""What it costs to begin: importing Arkor, and asking it for something small."""

import os
import subprocess
import sys
import time

from measure import Row, Size, beside

TITLE = "Starting"

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "import sqlalchemy, httpx": ["-c", "import sqlalchemy, httpx"],
    "import arkor": ["-c", "import arkor"],
    "import arkor; create_trainer": ["-c", "from arkor import create_trainer"],
    "arkor --version": ["-m", "arkor", "--version"],
    "arkor runs": ["-m", "arkor", "runs"],
}


def rows(size: Size) -> list[Row]:
    subjects = {
        name: lambda arguments=arguments: _starts(arguments) for name, arguments in PROGRAMS.items()
    }
    return beside(subjects, "ms", reference="import sqlalchemy, httpx", rounds=size.rounds)


def _starts(arguments: list[str]) -> float:
    """Milliseconds from the start of such a process to its end."""
    environ = {**os.environ, "ARKOR_HOME": "/nonexistent/arkor-bench"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return (time.perf_counter() - began) * 1000


__all__ = ["PROGRAMS", "TITLE", "rows"]
