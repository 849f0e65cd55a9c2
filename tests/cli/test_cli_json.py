"""docs/json.md is true: every command's `--json` prints the paths and types that the page names."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import typer
from cli_runs import stream, write_run

from arkor.cli.main import app
from arkor.core.notes import CallbackCompleted, entry_of
from arkor.store.journal import open_journal
from arkor.store.runs import index_of
from arkor.store.writer import open_writer
from arkor.testing import ScriptedBackend

Arkor = Callable[..., CompletedProcess[str]]
Shape = dict[str, tuple[set[str], str]]

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| ([a-z ]+) \| ?(.*?) ?\|$", re.M)
SHAPES: dict[str, Shape] = {
    title: {path: (set(types.split(" or ")), what) for path, types, what in ROW.findall(text)}
    for title, text in re.findall(r"^## arkor (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}
ENTRY = """
from arkor import HuggingfaceDataset, create_trainer

async def on_log(ctx):
    await ctx.once("note", list)

trainer = create_trainer(
    name="cli", model="m", dataset=HuggingfaceDataset("d"), max_steps=10,
    callbacks={"on_log": on_log},
)
"""
LOG = {"type": "training.log", "step": 1, "loss": 0.5}
SAVED = {"type": "checkpoint.saved", "step": 1, "artifacts": []}
COMPLETED = {"type": "training.completed", "artifacts": [{"kind": "adapter"}]}


def type_of(value: object) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object"}
    return "null" if value is None else names.get(type(value), "array")


def disagreements(shape: Shape, value: object, path: str = "") -> Iterator[str]:
    """Where a value is not as the page says, the page's paths that it lacks included."""
    types = shape[path][0] if path in shape else implied(shape, path, value)
    if "any" in types:
        return
    if type_of(value) not in types:
        yield f"{path or 'the value'} is {type_of(value)} {value!r}, documented: {types}"
    elif isinstance(value, list):
        for each in value:
            yield from disagreements(shape, each, f"{path}[]")
    elif isinstance(value, dict):
        yield from in_object(shape, value, f"{path}." if path else "")


def implied(shape: Shape, path: str, value: object) -> set[str]:
    """What is not said of the whole value, and of the elements of a list with paths of their own."""
    of_objects = any(known.startswith(f"{path}.") for known in shape)
    return {type_of(value)} if not path else {"object"} if of_objects else set()


def in_object(shape: Shape, value: dict[str, Any], prefix: str) -> Iterator[str]:
    keyed_by_data = f"{prefix}{{}}" in shape
    for name, each in value.items():
        yield from disagreements(shape, each, f"{prefix}{'{}' if keyed_by_data else name}")
    for known, (_, what) in shape.items():
        name = known.removeprefix(prefix)
        here = known.startswith(prefix) and re.fullmatch(r"\w+", name)
        if here and name not in value and not what.startswith("may be absent"):
            yield f"{known} is documented, and not there"


def check(command: str, done: CompletedProcess[str], *, code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines() if command == "events" else [done.stdout]
    values = [json.loads(line) for line in lines]
    assert values
    for value in values:
        assert value != []
        assert list(disagreements(SHAPES[command], value)) == []
    return values[-1]


def test_the_page_has_every_command_that_prints_json() -> None:
    def commands(group: Any, name: str = "") -> Iterator[str]:
        for own, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, f"{name}{own} ")
            elif any("--json" in param.opts for param in command.params):
                yield f"{name}{own}"

    documented = {title.removesuffix(" --check") for title in SHAPES}
    assert documented == set(commands(typer.main.get_group(app)))


@pytest.fixture
def trained(arkor: Arkor, folder: Path) -> Path:
    """A project with a run that has ended, and the run in the journal."""
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(ENTRY)
    with ScriptedBackend([{"type": "training.started"}, LOG, SAVED, COMPLETED]) as backend:
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run(here: Arkor, arkor: Arkor, home: Path, trained: Path) -> None:
    check("runs", here("runs", "--json"))
    check("show", here("show", "@last", "--json"))
    assert check("events", here("events", "@last", "--json"))["seq"] > 4
    check("verify", here("verify", "@last", "--json"))
    assert check("replay", here("replay", "@last", "--json"))["calls"]
    left = write_run(home, trained, "left", stream("training.log", step=1, loss=0.25))
    assert check("runs", here("runs", "--json"))[0]["owner"]["pid"]
    check("show", here("show", left, "--json"))
    compared = check("diff", here("diff", "@last", "job-1", "--json"))
    assert compared["config"]
    assert compared["metrics"][0]["a"]
    check("build", here("build", "--json"))
    check("start --check", arkor("start", "--check", "--json", "--backend", "local"))


def settled(home: Path, root: Path, name: str) -> str:
    """A run that has ended, and whose only consumer has finished it."""
    events = (stream("training.completed", artifacts=[]), entry_of(CallbackCompleted("main", 3)))
    run_id = write_run(home, root, name, *events)
    writer, state = open_writer(home), open_journal(home).run(run_id)
    writer.append(run_id, [], epoch=1, durable=True, index=index_of(state))
    writer.release(run_id, 1)
    return run_id


def test_what_is_pruned_and_brought_back(here: Arkor, home: Path, folder: Path) -> None:
    settled(home, folder, "old")
    archive = folder / "archive"
    archive.mkdir()
    options = ("prune", "--older-than", "0s", "--keep-last", "0", "--json")
    check("prune", here(*options, "--dry-run"))
    (pruned,) = check("prune", here(*options, "--archive", str(archive)))
    assert Path(pruned["archive"]).exists()
    check("runs", here("runs", "--json"))
    assert check("verify", here("verify", pruned["runId"], "--json"))["prunedAt"]
    restored = check("import", here("import", pruned["archive"], "--json"))
    assert restored["outcome"] == "restored"


def test_a_damaged_journal(here: Arkor, home: Path, folder: Path) -> None:
    run_id = settled(home, folder, "alpha")
    writer = open_writer(home)
    writer.close()
    with sqlite3.connect(writer.path) as connection:
        connection.execute("UPDATE runs SET name = 'other'")
        connection.execute("UPDATE records SET data = '{}' WHERE seq = 3")
    connection.close()
    found = check("store check", here("store", "check", "--json"), code=1)
    assert {each["subject"] for each in found} == {"chain"}
    check("verify", here("verify", run_id, "--json"), code=1)
    saved = here("store", "salvage", "-o", str(folder / "saved.db"), "--json")
    assert check("store salvage", saved, code=saved.returncode)["runs"]


def test_the_machine_and_the_account(arkor: Arkor, trained: Path) -> None:
    done = arkor("doctor", "--json")
    check("doctor", done, code=done.returncode)
    assert not check("backend status", arkor("backend", "status", "--json"), code=1)["running"]
    with ScriptedBackend() as backend:
        here = {"ARKOR_CLOUD_API_URL": backend.url}
        check("whoami", arkor("whoami", "--json", **here))
        made = check("login", arkor("login", "--anonymous", "--json", **here))
        assert (made["kind"], made["orgSlug"]) == ("anonymous", "anon-org")
        check("link", arkor("link", "anon-org/other", "--create", "--json", **here))
        assert check("unlink", arkor("unlink", "--json", **here))["unlinked"]


def test_a_project(here: Arkor, folder: Path) -> None:
    options = ("--skip-install", "--skip-git", "--json")
    check("new", here("new", "a-new-one", "-y", *options))
    check("init", here("init", "-y", *options))


@pytest.mark.training
def test_a_backend_that_runs(backend: Any, here: Arkor) -> None:
    done = here("backend", "status", "--home", str(backend.home), "--json")
    assert check("backend status", done)["pid"] == backend.pid
