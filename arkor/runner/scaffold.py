"""Writing a new project: files from a template, none of which replaces one that is there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from arkor.errors import ConfigError

__all__ = ["TEMPLATES", "Written", "project_name", "scaffold"]

TEMPLATES: Final = ("triage", "blank")
"""The templates, the default first."""

IGNORED: Final = ".arkor/"
"""What the project's `.gitignore` must name."""

LONGEST_NAME: Final = 60

_SUFFIX: Final = ".txt"  # a template's sources are texts to fill in, not modules of ours


@dataclass(frozen=True, slots=True)
class Written:
    """What was done about one file; `path` is relative to the project, `hint` what is left to do."""

    path: str
    action: Literal["created", "kept", "patched"]
    hint: str | None = None


def project_name(text: str) -> str:
    """Make a project's name of `text`: lower case, `[a-z0-9-]`, 60 characters at most."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST_NAME]
    return name.removeprefix("-").removesuffix("-") or "arkor-project"


def scaffold(folder: Path, *, name: str, template: str) -> Iterator[Written]:
    """Write the project `name` into `folder`, and report each file as it is done.

    Raises `ConfigError` for an unknown template, before anything is written, and `OSError` if
    a file cannot be written; what was written until then stays.
    """
    if template not in TEMPLATES:
        raise ConfigError(
            f'Unknown template "{template}"; there are {", ".join(TEMPLATES)}', field="template"
        )
    return _write(folder, _texts(template, name))


def _texts(template: str, name: str) -> dict[str, str]:
    """The text of each of the project's files, by its path."""
    package = files("arkor")
    texts = dict(_walk(package / "runner" / "templates" / template, ""))
    if template == "triage":
        data = package / "backend" / "data" / "triage"
        texts |= {
            f"data/{file}": (data / file).read_text() for file in ("train.jsonl", "hard.jsonl")
        }
    return {
        path.removesuffix(_SUFFIX): text.replace("{{name}}", name)
        for path, text in sorted(texts.items())
    }


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item.read_text(encoding="utf-8")


def _write(folder: Path, texts: dict[str, str]) -> Iterator[Written]:
    for path, text in texts.items():
        target = folder / path
        if target.exists():
            yield _keep(target, path, text)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _create(target, text)
            yield Written(path, "created")


def _create(target: Path, text: str) -> None:
    file = target.open("x", encoding="utf-8")
    try:
        with file:
            file.write(text)
    except OSError:
        # Half a file would be kept by the next attempt, as one that was there before.
        target.unlink()
        raise


def _keep(target: Path, path: str, text: str) -> Written:
    present = target.read_text(encoding="utf-8", errors="replace")
    if path == ".gitignore" and not _ignores(present):
        with target.open("a", encoding="utf-8") as file:
            unfinished = present and not present.endswith("\n")
            file.write(f"\n{IGNORED}\n" if unfinished else f"{IGNORED}\n")
        return Written(path, "patched")
    if path == "pyproject.toml" and "[tool.arkor]" not in present:
        return Written(path, "kept", f"add to it:\n{text[text.index('[tool.arkor]') :].strip()}")
    return Written(path, "kept")


def _ignores(text: str) -> bool:
    return any(line.strip().strip("/") == IGNORED.strip("/") for line in text.splitlines())
