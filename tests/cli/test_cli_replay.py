"""`arkor replay`: today's callbacks over a recorded run, and what the exit code says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from arkor.store.journal import open_journal
from arkor.testing import ScriptedBackend

Arkor = Callable[..., CompletedProcess[str]]

EVENTS = [
    {"type": "training.started"},
    {"type": "training.log", "step": 1, "loss": 0.5},
    {"type": "training.log", "step": 2, "loss": 0.4},
    {"type": "training.completed", "artifacts": []},
]

ENTRY = """
from arkor import HuggingfaceDataset, create_trainer
from .effects import note

async def on_log(ctx):
    print("called at", ctx.step)
    {body}

trainer = create_trainer(
    name="cli", model="m", dataset=HuggingfaceDataset("d"), callbacks={{"on_log": on_log}}
)
"""
RECORDED = 'await ctx.once("note", note, ctx.step)'


def write_entry(folder: Path, body: str) -> Path:
    entry = folder / "src" / "arkor" / "index.py"
    entry.parent.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.arkor]\n")
    (entry.parent / "effects.py").write_text(
        "def note(step):\n    with open('effects', 'a') as file:\n        file.write(f'{step} ')\n"
    )
    entry.write_text(ENTRY.format(body=body))
    return entry


@pytest.fixture
def recorded(arkor: Arkor, folder: Path) -> Path:
    """A project with a run that has ended."""
    write_entry(folder, RECORDED)
    with ScriptedBackend(EVENTS) as backend:
        done = arkor("start", "--backend", backend.url)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_code_does_what_was_recorded(here: Arkor, recorded: Path) -> None:
    done = here("replay", "@last", "--check")
    assert done.returncode == 0, done.stderr
    assert [line.split()[1:4] for line in done.stdout.splitlines()] == 2 * [
        ["main", "on_log", "once"]
    ]
    assert "called at 2" in done.stderr  # what callbacks print is no data of ours
    assert "replayed 2 calls" in done.stderr
    assert "nothing diverges" in done.stderr
    assert "changed" not in done.stderr
    assert (recorded / "effects").read_text() == "1 2 "  # nothing happened again


@pytest.mark.parametrize(
    ("body", "expected", "actual"),
    [
        ("pass", "once 'note'", "no further step"),
        ('await ctx.once("other", note, ctx.step)', "once 'note'", "once 'other'"),
        ('await ctx.once("note", note, 0)', "once 'note'", "once 'note'"),
        (RECORDED + "; await ctx.request_cancel()", "no further step", "cancel 'cancel:1'"),
        ("raise ValueError('no')", "on_log to finish", "on_log to raise ValueError: no"),
    ],
)
def test_another_code_diverges(
    here: Arkor, recorded: Path, body: str, expected: str, actual: str
) -> None:
    write_entry(recorded, body)
    shown = here("replay", "@last")
    assert shown.returncode == 0
    assert "changed since the run: src/arkor/index.py" in shown.stderr
    assert "2 divergences" in shown.stderr

    done = here("replay", "@last", "--check", "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["ok"], said["changed"], len(said["calls"])) == (False, ["src/arkor/index.py"], 2)
    first = said["divergences"][0]
    assert (first["expected"] or "no further step").startswith(expected)
    assert (first["actual"] or "no further step").startswith(actual)
    assert (recorded / "effects").read_text() == "1 2 "


def test_a_comment_is_a_change_and_no_divergence(here: Arkor, recorded: Path) -> None:
    write_entry(recorded, RECORDED + "  # as before")
    done = here("replay", "@last", "--check")
    assert done.returncode == 0, done.stderr
    assert "changed since the run: src/arkor/index.py" in done.stderr


def test_a_renamed_set_is_named(here: Arkor, recorded: Path) -> None:
    entry = write_entry(recorded, RECORDED)
    entry.write_text(entry.read_text().replace('{"on_log"', '{"name": "other", "on_log"'))
    done = here("replay", "@last", "--check")
    assert done.returncode == 1
    assert "the run called 'main'" in done.stderr


def test_another_entry_can_be_named(here: Arkor, recorded: Path) -> None:
    other = recorded / "src" / "arkor" / "other.py"
    other.write_text(ENTRY.format(body=RECORDED))
    assert here("replay", "@last", "--check", "--entry", str(other)).returncode == 0
    (recorded / "src" / "arkor" / "index.py").unlink()
    gone = here("replay", "@last")
    assert gone.returncode == 2
    assert "index.py" in gone.stderr


def test_a_run_without_an_entry_needs_one(here: Arkor, folder: Path) -> None:
    entry = write_entry(folder, RECORDED)
    with ScriptedBackend(EVENTS) as backend:
        from arkor import TrainerOptions, create_trainer
        from arkor.store.credentials import AnonymousCredentials

        me = AnonymousCredentials(
            token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
        )
        create_trainer(
            name="cli",
            model="m",
            dataset={"type": "huggingface", "name": "d"},
            options=TrainerOptions(base_url=backend.url, credentials=me, cwd=folder),
        ).wait_sync()
    run_id = open_journal().runs()[0].run_id
    done = here("replay", run_id)
    assert done.returncode == 2
    assert f"arkor replay {run_id} --entry PATH" in done.stderr
    assert "replayed 2 calls" in here("replay", run_id, "--entry", str(entry)).stderr
