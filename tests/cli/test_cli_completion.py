"""The Tab key: commands, options, runs and statuses, as each shell asks for them."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import stream, write_run

COMPLETED = stream("training.completed", artifacts=[])


@pytest.fixture
def runs(home: Path, folder: Path) -> dict[str, str]:
    """Runs by name: one that goes on, one that is settled, one with a name that would do harm."""
    named = {"night": (), "done": (COMPLETED,), "$(touch harm)'`[/b]": ()}
    return {name: write_run(home, folder, name, *events) for name, events in named.items()}


@pytest.fixture
def offered(environ: dict[str, str], folder: Path) -> Callable[..., list[str]]:
    """What bash is offered for a line whose last word is the one at the cursor."""

    def ask(line: str) -> list[str]:
        asking = {"_ARKOR_COMPLETE": "complete_bash", "COMP_WORDS": line}
        asking["COMP_CWORD"] = str(len(line.split(" ")) - 1)
        return said(environ | asking, folder).split()

    return ask


def said(environ: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "arkor"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_commands_and_options(offered: Callable[..., list[str]]) -> None:
    assert offered("arkor re") == ["resume", "report", "replay"]
    assert offered("arkor store sal") == ["salvage"]
    assert offered("arkor start --run") == ["--run-key"]
    assert offered("arkor init --template tr") == ["triage", "translate"]
    assert offered("arkor runs --status c") == ["completed", "cancelled"]


@pytest.mark.parametrize("command", ["show", "events", "watch", "cancel", "export", "diff @last"])
def test_a_run_is_offered_by_its_id(
    offered: Callable[..., list[str]], runs: dict[str, str], command: str
) -> None:
    assert offered(f"arkor {command} ") == ["@last", *reversed(runs.values())]
    assert offered(f"arkor {command} {runs['done']}") == [runs["done"]]
    assert offered(f"arkor {command} job-n") == ["job-night"]
    assert offered(f"arkor {command} zzz") == []


def test_resume_offers_what_may_be_resumed(
    offered: Callable[..., list[str]], runs: dict[str, str], home: Path
) -> None:
    offered_ids = offered("arkor resume ")
    assert runs["night"] in offered_ids
    assert "@last" not in offered_ids


def test_the_journal_of_the_same_line_is_read(
    offered: Callable[..., list[str]], runs: dict[str, str], home: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_id = write_run(other, tmp_path, "elsewhere")
    assert offered(f"arkor --journal {other / 'arkor.db'} show 0") == [run_id]
    assert offered(f"arkor --journal {tmp_path / 'no.db'} show ") == ["@last"]


def test_without_a_journal_nothing_is_offered_and_none_is_made(
    offered: Callable[..., list[str]], home: Path
) -> None:
    assert offered("arkor resume ") == []
    assert not (home / "arkor.db").exists()
    home.mkdir(exist_ok=True)
    (home / "arkor.db").write_bytes(b"no database" * 500)
    assert offered("arkor resume ") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_name_from_elsewhere_is_no_code_of_the_shell(
    environ: dict[str, str], folder: Path, runs: dict[str, str], shell: str
) -> None:
    asking = {
        "_ARKOR_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "arkor show ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    shown = said(environ | asking, folder)
    assert all(run_id in shown for run_id in runs.values())
    assert "night (running)" in shown
    assert not re.search(r"[$`\[]|touch harm\)", shown)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path with the command on it, and the shell's own folders."""
    command = tmp_path / "bin" / "arkor"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m arkor "$@"\n')
    command.chmod(0o755)
    return f"{command.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(environ: dict[str, str], folder: Path, shell: str) -> None:
    script = said(environ | {"_ARKOR_COMPLETE": f"source_{shell}"}, folder)
    assert f"_ARKOR_COMPLETE=complete_{shell}" in script


def test_the_tab_key_of_a_real_bash(
    environ: dict[str, str],
    folder: Path,
    runs: dict[str, str],
    path: str,
    need: Callable[..., None],
) -> None:
    bash = shutil.which("bash")
    need(bash, "bash: apt-get install bash")
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [bash, "--norc", "--noprofile", "-i"],
        cwd=folder,
        env=environ | {"PATH": path, "PS1": "$ ", "TERM": "dumb", "INPUTRC": os.devnull},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = ""

    def type_and_read(text: str, until: str) -> None:
        nonlocal shown
        shown = ""
        os.write(main, text.encode())
        while not re.search(until, shown):
            shown += os.read(main, 65536).decode(errors="replace")

    try:
        type_and_read('eval "$(arkor --show-completion bash)"; echo ready-$?\n', r"ready-0")
        type_and_read(f"arkor show {runs['night'][:-2]}\t", runs["night"])
        type_and_read(" --js\t", "--json")
        type_and_read("\n", r'"head": "[0-9a-f]{64}"')
        answer = shown
        type_and_read("arkor --install-completion\n", r"completion installed in \S+")
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert (Path(environ["HOME"]) / ".bash_completions" / "arkor.sh").exists()
    assert json.loads("{" + answer.partition("{")[2].partition("\n$")[0].rpartition("}")[0] + "}")
