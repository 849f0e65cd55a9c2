"""Which project a run belongs to: found, made, or refused."""

import asyncio
from pathlib import Path

import pytest

from arkor.client.api import CloudApiClient
from arkor.core.wire import Scope
from arkor.errors import CloudApiError, ConfigError, ProjectStateError
from arkor.runner.identity import EnvironmentToken, Identity
from arkor.runner.scope import resolve_scope, slug_of
from arkor.store.credentials import AnonymousCredentials, OAuthCredentials
from arkor.store.state import ProjectState, read_state, write_state
from arkor.testing.backend import ScriptedBackend
from arkor.testing.script import Answer, answer_json

ANONYMOUS = AnonymousCredentials("a-token-of-this-test-0123", "anon-1", "anon-org")
USER = OAuthCredentials("access", "refresh", 0, "auth.example.com", "api", "client")


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    folder = tmp_path / "My Project"
    folder.mkdir()
    return folder


def resolve(backend: ScriptedBackend, identity: Identity, root: Path, home: Path) -> Scope:
    async def main() -> Scope:
        async with CloudApiClient(backend.url, ANONYMOUS) as api:
            return await resolve_scope(api, identity, root=root, home=home)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("folder", "slug"),
    [
        ("/home/ada/triage", "triage"),
        ("/home/ada/My Project", "my-project"),
        ("/home/ada/a  b__c", "a--b--c"),
        ("/home/ada/--triage.v2--", "triage-v2"),
        ("C:\\Users\\ada\\Triage", "triage"),
        ("/home/ada/triage///", "triage"),
        ("/home/ada/größe", "gr--e"),
        ("/home/ada/日本", "project"),
        ("/home/ada/...", "project"),
        ("/", "project"),
        ("", "project"),
        ("/x/" + "a" * 50, "a" * 40),
        ("/x/" + "a" * 39 + "-tail", "a" * 39),
        ("/x/" + "a" * 38 + "___tail", "a" * 38),
        ("/x/-" + "a" * 40, "a" * 40),
    ],
)
def test_the_slug_of_a_folder(folder: str, slug: str) -> None:
    assert slug_of(folder) == slug


def test_an_anonymous_identity_makes_the_project_once(root: Path, home: Path) -> None:
    with ScriptedBackend() as backend:
        first = resolve(backend, ANONYMOUS, root, home)
        again = resolve(backend, ANONYMOUS, root, home)
        asked = [(r.method, r.path, r.query) for r in backend.requests]
        (made,) = backend.projects.values()
    assert first == again == Scope("anon-org", "my-project")
    assert asked == [("POST", "/v1/projects", {"orgSlug": "anon-org"})]
    assert (made["name"], made["slug"]) == ("My Project", "my-project")
    assert read_state(root, home) == ProjectState("anon-org", "my-project", "project-1")


def test_the_slug_that_came_back_counts(root: Path, home: Path) -> None:
    project = {"id": "p", "slug": "renamed", "name": "My Project", "orgId": "o"}
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/projects", answer_json({"project": project}, 201))
        assert resolve(backend, ANONYMOUS, root, home) == Scope("anon-org", "renamed")
    assert read_state(root, home) == ProjectState("anon-org", "renamed", "p")


def test_a_slug_that_is_taken_is_ours(root: Path, home: Path) -> None:
    with ScriptedBackend() as backend:
        backend.projects["other"] = {"id": "1", "slug": "other", "name": "x", "orgId": "o"}
        backend.projects["my-project"] = {
            "id": "2",
            "slug": "my-project",
            "name": "x",
            "orgId": "o",
        }
        assert resolve(backend, ANONYMOUS, root, home) == Scope("anon-org", "my-project")
    assert read_state(root, home) == ProjectState("anon-org", "my-project", "2")


def test_one_that_is_taken_and_not_listed_is_the_backends_refusal(root: Path, home: Path) -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/projects", answer_json({"error": "slug_taken"}, 409))
        with pytest.raises(CloudApiError, match="slug_taken") as caught:
            resolve(backend, ANONYMOUS, root, home)
    assert caught.value.status == 409
    assert read_state(root, home) is None


def test_any_other_refusal_is_not_followed_by_a_list(root: Path, home: Path) -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/projects", Answer(403))
        with pytest.raises(CloudApiError) as caught:
            resolve(backend, ANONYMOUS, root, home)
        assert [r.method for r in backend.requests] == ["POST"]
    assert caught.value.status == 403


def test_a_folder_of_another_identity_is_refused_and_stays(root: Path, home: Path) -> None:
    theirs = ProjectState("their-org", "their-project", "7")
    write_state(theirs, root, home)
    with ScriptedBackend() as backend:
        with pytest.raises(ProjectStateError, match=r"their-org/their-project.*arkor unlink"):
            resolve(backend, ANONYMOUS, root, home)
        assert backend.requests == []
    assert read_state(root, home) == theirs


def test_a_refusal_names_the_store_that_holds_the_link(root: Path, home: Path) -> None:
    other = home.with_name("other")
    write_state(ProjectState("their-org", "their-project", "7"), root, other)
    with ScriptedBackend() as backend, pytest.raises(ProjectStateError, match=f"kept in {other}"):
        resolve(backend, ANONYMOUS, root, other)


@pytest.mark.parametrize("identity", [USER, EnvironmentToken("token")])
def test_a_user_uses_whatever_the_folder_is_linked_to(
    identity: Identity, root: Path, home: Path
) -> None:
    write_state(ProjectState("any-org", "any-project", "7"), root, home)
    with ScriptedBackend() as backend:
        assert resolve(backend, identity, root, home) == Scope("any-org", "any-project")
        assert backend.requests == []


@pytest.mark.parametrize("identity", [USER, EnvironmentToken("token")])
def test_for_a_user_no_project_is_made(identity: Identity, root: Path, home: Path) -> None:
    with ScriptedBackend() as backend:
        with pytest.raises(ProjectStateError, match="arkor link ORG/PROJECT"):
            resolve(backend, identity, root, home)
        assert backend.requests == []


def test_the_environment_names_a_tokens_project_and_nobody_elses(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_PROJECT", "org/project")
    with ScriptedBackend() as backend:
        token = EnvironmentToken("token")
        assert resolve(backend, token, root, home) == Scope("org", "project")
        assert resolve(backend, ANONYMOUS, root, home) == Scope("anon-org", "my-project")
    assert read_state(root, home) == ProjectState("anon-org", "my-project", "project-1")


@pytest.mark.parametrize("named", ["org", "org/", "/project", "a/b/c"])
def test_a_project_that_is_no_pair_is_refused(
    named: str, root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_PROJECT", named)
    with ScriptedBackend() as backend, pytest.raises(ConfigError, match="org/project") as caught:
        resolve(backend, EnvironmentToken("token"), root, home)
    assert caught.value.field == "ARKOR_PROJECT"
