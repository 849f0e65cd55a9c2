"""A child process: run commands on a journal, and say of each what it printed and what it touched.

`reading.py JOURNAL` reads from stdin a JSON object of argument lists by name, and writes one of
[exit code, stdout, stderr, changes] by name, where changes are of the journal's folder and of
`ARKOR_HOME`. An argument list that is null is skipped.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

from typer.testing import CliRunner

from arkor.cli.main import app


def listing(folder: Path) -> dict[str, object]:
    """Name, size, time of change and content of every file, and the folder's own time."""
    if not folder.exists():
        return {}
    found: dict[str, object] = {".": folder.stat().st_mtime_ns}
    for file in sorted(folder.rglob("*")):
        stat = file.stat()
        content = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        found[str(file)] = [stat.st_size, stat.st_mtime_ns, stat.st_mode, content]
    return found


def main() -> None:
    journal = Path(sys.argv[1])
    folders = (journal.parent, Path(os.environ["ARKOR_HOME"]))
    said = {}
    for name, arguments in json.load(sys.stdin).items():
        before = {str(folder): listing(folder) for folder in folders}
        done = CliRunner().invoke(
            app, ["--journal", str(journal), *arguments], prog_name="arkor", env={"COLUMNS": "200"}
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        after = {str(folder): listing(folder) for folder in folders}
        changes = [
            f"{path}: {before[folder].get(path)} -> {after[folder].get(path)}"
            for folder in after
            for path in before[folder].keys() | after[folder].keys()
            if before[folder].get(path) != after[folder].get(path)
        ]
        said[name] = [done.exit_code, done.stdout, done.stderr, changes]
    json.dump(said, sys.__stdout__)


if __name__ == "__main__":
    main()
