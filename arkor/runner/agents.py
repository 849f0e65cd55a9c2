"""What coding agents are told about Arkor: a block of ours in the project's `AGENTS.md`."""

from typing import Final

from arkor.runner.textfile import in_its_style

__all__ = ["BEGIN", "END", "POINTER", "RULES", "with_rules"]

BEGIN: Final = "<!-- BEGIN:arkor-agent-rules -->"
END: Final = "<!-- END:arkor-agent-rules -->"

POINTER: Final = "@AGENTS.md\n"
"""The whole `CLAUDE.md`."""

RULES: Final = """\
# arkor is newer than your training data

This project trains a model with Arkor (the Python package `arkor`). Do not write its API from memory:

- The installed package is typed and documented: `python -c "import arkor; help(arkor.create_trainer)"`.
- Every command explains itself: `arkor --help`, `arkor start --help`. In scripts, `--no-input` asks nothing.
- Try a change with `arkor start --backend local --dry-run`: it trains a few steps on this machine and pays for nothing.
- `arkor start` goes on with a run that was interrupted. Pass `--new` only if a second run is wanted.
- What happened in a run is in its journal: `arkor show @last --json`, `arkor events @last --json`. Never edit the journal.
- Exit codes of `arkor start`: 0 completed, 1 failed, 2 usage, 3 cancelled, 4 no end was reached, 5 a callback raised.
"""
"""What stands between the two lines."""


def with_rules(text: str) -> str | None:
    """`text` with the block in it: in place of an older one, else at the end.

    The rest stays byte for byte, and the block's lines end as the others do. None if it cannot
    be said where the block is: there are several, or one without its beginning or its end.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    begins, ends = (
        [n for n, line in enumerate(lines) if line.strip() == mark] for mark in (BEGIN, END)
    )
    block = in_its_style(f"{BEGIN}\n{RULES}{END}\n", text)
    if not begins and not ends:
        return _appended(text, block)
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        return None
    if not lines[ends[0]].endswith("\n"):
        block = block.rstrip("\r\n")  # the file's last line had no end
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    return mark + "".join((*lines[: begins[0]], block, *lines[ends[0] + 1 :]))


def _appended(text: str, block: str) -> str:
    """`block` after `text`, with one empty line between them."""
    end = in_its_style("\n", text)
    if not text.strip("\ufeff \t\r\n"):
        return text[: text.startswith("\ufeff")] + block
    if not text.endswith("\n"):
        text += end
    lines = text.splitlines()
    return text + ("" if not lines[-1].strip() else end) + block
