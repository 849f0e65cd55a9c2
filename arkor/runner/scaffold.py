"""Writing a new project: files from a template, none of which replaces one that is there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from arkor.errors import ConfigError
from arkor.runner.agents import POINTER, with_rules
from arkor.runner.pyproject import completed
from arkor.runner.textfile import in_its_style, read_exactly, replace_text

__all__ = ["TEMPLATES", "Written", "check_template", "project_name", "scaffold"]

TEMPLATES: Final[Mapping[str, str]] = {
    "triage": "sort support tickets, one label each",
    "translate": "translate into English, answered as JSON",
    "redaction": "take personal data out of a text, answered as JSON",
    "blank": "four rows of data, and nothing else",
}
"""The templates and what each is about, the default first."""

IGNORED: Final = ".arkor/"
"""What the project's `.gitignore` must name."""

NO_NAME: Final = "arkor-project"
"""The name of a project whose folder's name has no letter and no digit."""

LONGEST_NAME: Final = 60

_SUFFIX: Final = ".txt"  # a template's sources are texts to fill in, not modules of ours

_AGENTS_ROW: Final = "| `AGENTS.md`, `CLAUDE.md` | what coding agents should know about Arkor |\n"


@dataclass(frozen=True, slots=True)
class Written:
    """What was done about one file; `path` is relative to the project.

    `created`, `patched` (it got what it lacked), `ok` (it had all), `kept` (somebody else's, as
    it was) or `skipped`. `warning` is what is left to do; if it `blocks`, the project's
    dependencies cannot be installed before that is done.
    """

    path: str
    action: Literal["created", "patched", "ok", "kept", "skipped"]
    warning: str | None = None
    blocks: bool = False


def project_name(text: str) -> str:
    """Make a project's name of `text`: lower case, `[a-z0-9-]`, 60 characters at most."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST_NAME]
    return name.removeprefix("-").removesuffix("-") or NO_NAME


def check_template(template: str) -> None:
    """Raise `ConfigError` unless there is such a template."""
    if template not in TEMPLATES:
        raise ConfigError(
            f'Unknown template "{template}"; there are {", ".join(TEMPLATES)}', field="template"
        )


def scaffold(
    folder: Path, *, name: str, template: str, agents: bool = True, run: str = ""
) -> Iterator[Written]:
    """Write the project `name` into `folder`, and report each file as it is done.

    `agents` says whether it gets an `AGENTS.md` and a `CLAUDE.md`; `run` is what a command line
    begins with to run in the project's environment, such as `uv run `. Raises `ConfigError` for
    an unknown template, before anything is written, and `OSError` if a file cannot be written;
    what was written until then stays.
    """
    check_template(template)
    texts = _texts(template)
    return _write(folder, texts, {"name": name, "run": run}, agents)


def _texts(template: str) -> dict[str, str]:
    """The text of each of the project's files, by its path."""
    package = files("arkor")
    templates = package / "runner" / "templates"
    texts = dict(_walk(templates / "project", "")) | dict(_walk(templates / template, ""))
    if template == "triage":
        data = package / "backend" / "data" / "triage"
        texts |= {
            f"data/{file}": (data / file).read_text("utf-8")
            for file in ("train.jsonl", "hard.jsonl")
        }
    return {path.removesuffix(_SUFFIX): text for path, text in texts.items()}


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item.read_text(encoding="utf-8")


def _write(
    folder: Path, texts: Mapping[str, str], values: dict[str, str], agents: bool
) -> Iterator[Written]:
    folder.mkdir(parents=True, exist_ok=True)
    if agents:
        told = _tell_agents(folder / "AGENTS.md")
        yield told
        yield _point(folder / "CLAUDE.md", to=told)
    # A README speaks of these files only where they are.
    values["agents"] = _AGENTS_ROW if (folder / "AGENTS.md").exists() else ""
    for path, text in sorted(texts.items()):
        for key, value in values.items():
            text = text.replace(f"{{{{{key}}}}}", value)
        yield _put(folder / path, path, text)


def _put(target: Path, path: str, text: str) -> Written:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        return _create(target, path, text)
    match path:
        case ".gitignore":
            return _ignore(target)
        case "pyproject.toml":
            return _complete(target)
    return Written(path, "kept")


def _create(target: Path, path: str, text: str) -> Written:
    file = target.open("x", encoding="utf-8")
    try:
        with file:
            file.write(text)
    except OSError:
        # Half a file would be kept by the next attempt, as one that was there before.
        target.unlink()
        raise
    return Written(path, "created")


def _ignore(target: Path) -> Written:
    present = target.read_text(encoding="utf-8", errors="replace")
    if any(line.strip().strip("/") == IGNORED.strip("/") for line in present.splitlines()):
        return Written(target.name, "ok")
    exact = target.read_bytes().decode("utf-8", errors="surrogateescape")
    start = "" if not exact or exact.endswith("\n") else "\n"
    with target.open("ab") as file:
        file.write(in_its_style(f"{start}{IGNORED}\n", exact).encode())
    return Written(target.name, "patched")


def _complete(target: Path) -> Written:
    try:
        present = read_exactly(target)
        text, lacking = completed(present)
    except ValueError as error:
        return Written(
            target.name, "kept", f"it is no TOML, and was left alone: {error}", blocks=True
        )
    if text != present:
        replace_text(target, text)
    warning = f"it still needs {' and '.join(lacking)}" if lacking else None
    unchanged: Literal["kept", "ok"] = "kept" if lacking else "ok"
    return Written(target.name, unchanged if text == present else "patched", warning)


def _tell_agents(target: Path) -> Written:
    if not target.exists():
        return _create(target, target.name, with_rules("") or "")
    try:
        present = read_exactly(target)
    except UnicodeDecodeError:
        return Written(target.name, "skipped", "it is not UTF-8, and was left alone")
    text = with_rules(present)
    if text is None:
        return Written(
            target.name,
            "skipped",
            "it was left alone: it should have one `BEGIN:arkor-agent-rules` line and one "
            "`END:arkor-agent-rules` line after it, or none",
        )
    if text == present:
        return Written(target.name, "ok")
    replace_text(target, text)
    return Written(target.name, "patched")


def _point(target: Path, *, to: Written) -> Written:
    if target.exists():
        same = target.read_bytes().strip() == POINTER.strip().encode()
        return Written(target.name, "ok" if same else "kept")
    if to.action == "skipped":
        return Written(target.name, "skipped", f"not written, because of {to.path}")
    return _create(target, target.name, POINTER)
