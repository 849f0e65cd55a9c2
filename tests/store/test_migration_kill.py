"""A migration that is killed in the middle: the next process opens the journal whole."""

import json
import subprocess
import sys
from pathlib import Path

# For N = 1, 4, 7, ... a child makes a journal and dies at its N-th statement; then another opens it.
SWEEP = """
import json, os, signal, sqlite3, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from arkor.store.paths import journal_path
from arkor.store.writer import open_writer

def opened(home, nth=None):
    child = os.fork()
    if child == 0:
        passed = 0
        @event.listens_for(Engine, "before_cursor_execute")
        def watch(*_):
            nonlocal passed
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal.SIGKILL)
        assert len(open_writer(home).salt) == 32
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def schema(home):
    with sqlite3.connect(journal_path(home)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        return [list(row) for row in rows]

base, seen, nth, kills = Path(sys.argv[1]), [], -2, 0
while True:
    nth += 3
    home = base / str(nth)
    code = opened(home, nth)
    assert opened(home) == 0, f"not opened after a kill at statement {nth}"
    seen.append(schema(home))
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    kills += 1
print(json.dumps({"kills": kills, "schemas": len({json.dumps(each) for each in seen})}))
"""


def test_a_migration_killed_at_any_statement_is_made_whole_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SWEEP, str(tmp_path)]
    swept = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert swept.returncode == 0, swept.stderr
    found = json.loads(swept.stdout)
    assert found["kills"] > 10
    assert found["schemas"] == 1
