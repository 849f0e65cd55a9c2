"""`arkor link` and `arkor unlink`, against a backend with organisations and projects."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.store.state import ProjectState, read_state, write_state
from arkor.testing import ScriptedBackend, answer_json

Arkor = Callable[..., CompletedProcess[str]]

TOKEN = "a-token-of-this-test-0123"


def project(org: str, slug: str) -> dict[str, str]:
    return {"id": f"id-{slug}", "slug": slug, "name": slug.title(), "orgId": org}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBackend]:
    with ScriptedBackend(token=TOKEN) as backend:
        backend.on("GET", "/v1/me", answer_json({"user": {}, "orgs": [{"slug": "acme"}]}))
        listed = {"projects": [project("acme", slug) for slug in ("triage", "search")]}
        backend.on("GET", "/v1/projects", answer_json(listed))
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        monkeypatch.setenv("ARKOR_TOKEN", TOKEN)
        yield backend


def test_a_folder_is_linked_to_a_project_within_reach(
    here: Arkor, backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    done = here("link", "acme/triage")
    assert (done.returncode, done.stdout) == (0, f"Linked {folder} to acme/triage\n")
    assert read_state(folder, home) == ProjectState("acme", "triage", "id-triage")
    assert not (folder / ".arkor").exists()


def test_the_link_as_json_and_what_it_was_before(
    here: Arkor, backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    write_state(ProjectState("other", "one", "7"), folder, home)
    done = here("link", "acme/search", "--json")
    assert json.loads(done.stdout) == {
        "projectRoot": str(folder),
        "orgSlug": "acme",
        "projectSlug": "search",
        "projectId": "id-search",
    }
    assert "before it was other/one" in done.stderr


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("foreign/triage", "does not see the organisation 'foreign'; it sees acme"),
        ("acme/none", "sees no project acme/none; `arkor link acme/none --create` makes it"),
    ],
)
def test_what_is_not_within_reach_is_refused(
    named: str, words: str, here: Arkor, backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    done = here("link", named)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert read_state(folder, home) is None


def test_a_project_is_made_where_that_is_wished(
    here: Arkor, backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    backend.on("POST", "/v1/projects", answer_json({"project": project("acme", "new")}, 201))
    assert here("link", "acme/new", "--create").returncode == 0
    assert read_state(folder, home) == ProjectState("acme", "new", "id-new")
    made = next(each for each in backend.requests if each.method == "POST")
    assert json.loads(made.body) == {"name": "project", "slug": "new"}


def test_where_nobody_can_be_asked_a_name_is_needed(here: Arkor, backend: ScriptedBackend) -> None:
    done = here("link")
    assert done.returncode == 2
    assert "`arkor link acme/triage`, `arkor link acme/search`" in done.stderr


def test_the_only_project_needs_no_name(
    here: Arkor, backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    backend.on("GET", "/v1/projects", answer_json({"projects": [project("acme", "one")]}))
    assert here("link").returncode == 0
    assert read_state(folder, home) == ProjectState("acme", "one", "id-one")


@pytest.mark.parametrize("named", ["triage", "a/b/c", "/b"])
def test_a_text_that_is_no_pair_is_wrong_usage(
    named: str, here: Arkor, backend: ScriptedBackend
) -> None:
    assert here("link", named).returncode == 2
    assert backend.requests == []


def test_nobody_signed_in(
    here: Arkor, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARKOR_TOKEN")
    done = here("link", "acme/triage")
    assert done.returncode == 4
    assert "arkor login" in done.stderr


def test_the_embedded_backend_links_by_itself(here: Arkor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    done = here("link", "acme/triage")
    assert done.returncode == 2
    assert "by itself" in done.stderr


def test_a_variable_that_wins_is_named(
    here: Arkor, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_PROJECT", "acme/search")
    assert "acme/search wins over it" in here("link", "acme/triage").stderr


def test_on_a_terminal_one_chooses(
    arkor: Arkor, environ: dict[str, str], backend: ScriptedBackend, folder: Path, home: Path
) -> None:
    terminal, slave = pty.openpty()
    given = environ | {"ARKOR_CLOUD_API_URL": backend.url, "ARKOR_TOKEN": TOKEN, "TERM": "xterm"}
    given.pop("CI", None)
    with subprocess.Popen(
        [sys.executable, "-m", "arkor", "link"],
        cwd=folder,
        env=given,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        os.write(terminal, b"9\n2\n")
        seen = read_all(terminal)
        assert process.wait(30) == 0, seen
    assert "1  acme/triage" in seen
    assert "3  acme/project  (new)" in seen
    assert read_state(folder, home) == ProjectState("acme", "search", "id-search")


def read_all(terminal: int) -> str:
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(terminal)
    return seen.decode()


def test_unlink_forgets_the_link(here: Arkor, folder: Path, home: Path) -> None:
    write_state(ProjectState("acme", "triage", "7"), folder, home)
    assert json.loads(here("unlink", "--json").stdout) == {
        "projectRoot": str(folder),
        "unlinked": True,
    }
    assert read_state(folder, home) is None
    assert json.loads(here("unlink", "--json").stdout)["unlinked"] is False


def test_a_file_of_the_typescript_tools_goes_only_by_force(here: Arkor, folder: Path) -> None:
    file = folder / ".arkor" / "state.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"orgSlug": "o", "projectSlug": "p", "projectId": "1"}))
    kept = here("unlink")
    assert kept.returncode == 1
    assert "arkor unlink --force" in kept.stderr
    assert file.exists()
    assert here("unlink", "--force").returncode == 0
    assert not file.exists()


def test_a_variable_stays(here: Arkor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_TOKEN", TOKEN)
    monkeypatch.setenv("ARKOR_PROJECT", "o/p")
    done = here("unlink")
    assert done.returncode == 1
    assert "ARKOR_PROJECT" in done.stderr


@pytest.mark.parametrize("status", [200, 403])
def test_an_outdated_release_is_told_so_once_at_the_end(
    status: int, arkor: Arkor, backend: ScriptedBackend
) -> None:
    headers: dict[str, Any] = {
        "deprecation": "true",
        "warning": '299 - "Arkor SDK is old"',
        "sunset": "Wed, 31 Dec 2026 23:59:59 GMT",
    }
    body = {"user": {}, "orgs": [{"slug": "acme"}]}
    backend.on("GET", "/v1/me", answer_json(body, status, **headers))
    done = arkor("link", "acme/triage", ARKOR_CLOUD_API_URL=backend.url, ARKOR_TOKEN=TOKEN)
    assert done.returncode == (0 if status == 200 else 4)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("warning: Arkor SDK is old (this is Arkor ")
    assert "Cutoff: Wed, 31 Dec 2026 23:59:59 GMT. Upgrade with `" in last
    assert done.stderr.count("Arkor SDK is old") == 1
