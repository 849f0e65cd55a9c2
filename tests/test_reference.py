"""docs/cli.md is what the code says, and every command's help has an example."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = re.findall(r"^### (arkor [a-z -]+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)


def test_the_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "cli.md is current\n"), done.stderr


def test_every_command_has_an_example_of_its_own() -> None:
    groups = {name.rpartition(" ")[0] for name, _ in COMMANDS}
    for name, text in COMMANDS:
        _usage, *examples = re.findall(rf"^    .*{re.escape(name)}\b", text, re.M) or [""]
        assert examples or name in groups, f"the docstring of `{name}` has no example"


def test_an_example_names_only_options_that_there_are() -> None:
    for name, text in COMMANDS:
        options = set(re.findall(r"(?<=[`\s/])--?[a-z][a-z-]*", "\n".join(table(text))))
        for line in re.findall(rf"^    .*?{re.escape(name)} (.*)$", text, re.M):
            if line.startswith(("[", "ID", "RUN")):
                continue  # the usage
            used = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", line.partition("|")[0]))
            assert used - options == set(), (name, line)


def table(text: str) -> list[str]:
    return [line.partition(" | ")[0] for line in text.splitlines() if line.startswith("| `-")]
