"""Endpoints: their data at a real embedded backend, and their pages in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_app import browser, write_run

from arkor.testing import ScriptedBackend, answer_json

BASE = {"kind": "base_model", "baseModel": "arkor/tiny"}
NEW = {"slug": "triage", "target": BASE, "authMode": "fixed_api_key"}
PATH = "/api/deployments"


@pytest.fixture
def home(backend: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store's folder of the running backend, which is the project's."""
    monkeypatch.setenv("HOME", str(backend.home.parent))
    monkeypatch.setenv("ARKOR_HOME", str(backend.home))
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    folder: Path = backend.home
    return folder


@pytest.fixture
def asleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store's folder: the embedded backend is not running there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "local")
    (home := tmp_path / "asleep").mkdir(mode=0o700)
    return home


@pytest.fixture
def client(home: Path, tmp_path: Path) -> Any:
    return browser(home, project_root=tmp_path)


def test_the_life_of_an_endpoint(client: Any) -> None:
    made = client.post(PATH, json={**NEW, "slug": "life"})
    assert made.status_code == 201
    one = made.json()["deployment"]
    assert one["url"].endswith("/life/v1/chat/completions")
    assert (one["backend"], one["run"], one["enabled"]) == ("local", None, True)
    at = f"{PATH}/{one['id']}"
    assert client.get(PATH).json() == {"deployments": [one]}
    changed = client.patch(at, json={"enabled": False, "runRetentionMode": "unlimited"})
    assert changed.json()["deployment"]["runRetentionMode"] == "unlimited"
    assert client.get(at).json()["deployment"]["enabled"] is False
    assert client.delete(at).json() == {}
    assert client.get(at).status_code == 404
    assert client.get(PATH).json() == {"deployments": []}


def test_a_key_is_shown_once(client: Any) -> None:
    one = client.post(PATH, json={**NEW, "slug": "keyed"}).json()["deployment"]
    keys = f"{PATH}/{one['id']}/keys"
    issued = client.post(keys, json={"label": " Desk "})
    assert (issued.status_code, issued.json()["key"]["label"]) == (201, "Desk")
    plaintext = issued.json()["key"]["plaintext"]
    listed = client.get(keys)
    assert plaintext not in listed.text
    (key,) = listed.json()["keys"]
    assert (key["enabled"], key["lastUsedAt"]) == (True, None)
    assert client.delete(f"{keys}/{key['id']}").json() == {}
    assert client.get(keys).json()["keys"][0]["enabled"] is False


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Invalid deployment create body: slug: "),
        ({**NEW, "slug": "-no"}, "slug: "),
        ({**NEW, "target": {"kind": "adapter"}}, "target.adapter: "),
        ({**NEW, "authMode": "maybe"}, "authMode: "),
        ({**NEW, "runRetentionMode": "days"}, "runRetentionDays: "),
        ([], "must be a JSON object"),
    ],
)
def test_what_is_no_deployment_is_refused_before_anything_is_made(
    asleep: Path, body: Any, said: str
) -> None:
    answer = browser(asleep).post(PATH, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert not (asleep / "backend").exists()


def test_a_slug_that_is_taken(client: Any) -> None:
    assert client.post(PATH, json={**NEW, "slug": "taken"}).status_code == 201
    assert client.post(PATH, json={**NEW, "slug": "taken"}).status_code == 409


@pytest.mark.parametrize("label", ["", "  ", "x" * 81, None])
def test_a_key_wants_a_label(client: Any, label: Any) -> None:
    answer = client.post(f"{PATH}/any/keys", json={"label": label})
    assert answer.status_code == 400
    assert "label" in answer.json()["error"]


def test_changes_that_are_none(client: Any) -> None:
    assert client.patch(f"{PATH}/any", json=[]).json()["error"] == "the body must be a JSON object"
    answer = client.patch(f"{PATH}/any", json={"slug": "other"})
    assert answer.status_code == 400
    assert "Invalid deployment update body: slug: cannot be changed" in answer.json()["error"]


def test_a_backend_that_does_not_run_is_not_started_by_looking(asleep: Path) -> None:
    client = browser(asleep)
    found = client.get(PATH).json()
    assert (found["deployments"], found["scopeMissing"]) == ([], True)
    assert found["backend"] == "local"
    for path in (f"{PATH}/any", f"{PATH}/any/keys"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "is not running" in answer.json()["error"]
    assert not (asleep / "backend").exists()


def test_a_folder_that_is_linked_to_no_project(
    asleep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedBackend() as backend:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", backend.url)
        client = browser(asleep)
        assert client.get(PATH).json()["scopeMissing"] is True
        assert ".arkor/state.json" in client.get(f"{PATH}/any").json()["error"]
        assert client.post("/api/backend/start", json={}).status_code == 409
        assert backend.requests == []


def test_nobody_is_signed_in(asleep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:1")
    (folder := asleep.parent / ".arkor").mkdir()
    state = {"orgSlug": "o", "projectSlug": "p", "projectId": "1"}
    (folder / "state.json").write_text(json.dumps(state))
    answer = browser(asleep).get(PATH)
    assert answer.status_code == 401
    assert "arkor login" in answer.json()["error"]


def test_the_run_behind_an_adapter_is_named(asleep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(asleep, "triage")
    adapter = {"kind": "checkpoint", "jobId": "job-triage", "step": 20}
    one = {
        **NEW,
        "target": {"kind": "adapter", "adapter": adapter},
        **dict.fromkeys(("id", "orgId", "projectId", "createdAt", "updatedAt"), "x"),
        "urlFormat": "openai_compat",
        "enabled": True,
        "customDomain": None,
    }
    with ScriptedBackend() as backend:
        for name, value in (("CLOUD_API_URL", backend.url), ("TOKEN", "t"), ("PROJECT", "o/p")):
            monkeypatch.setenv(f"ARKOR_{name}", value)
        backend.on("GET", "/v1/endpoints", answer_json({"deployments": [one]}))
        (found,) = browser(asleep).get(PATH).json()["deployments"]
    assert found["run"] == {"runId": run, "name": "triage"}
    assert found["url"] == "https://triage.arkor.app/v1/chat/completions"


@pytest.fixture
def endpoint(client: Any, page: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page of a new endpoint."""
    slug = request.node.name.replace("_", "-")[:50].strip("-")
    one = client.post(PATH, json={**NEW, "slug": slug}).json()["deployment"]
    page.goto(f"/endpoints/{one['id']}")
    page.get_by_role("heading", name=slug).wait_for()
    yield page
    client.delete(f"{PATH}/{one['id']}")


def test_an_endpoint_is_made_once_however_often_it_is_asked_for(client: Any, page: Any) -> None:
    posts: list[str] = []

    def note(request: Any) -> None:
        if request.method == "POST":
            posts.append(request.url)

    page.on("request", note)
    page.goto("/endpoints")
    page.get_by_text("No endpoints yet").wait_for()
    page.get_by_role("button", name="New endpoint").first.click()
    page.get_by_label("Slug").fill("-wrong-")
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_label("Slug").fill("once")
    page.get_by_role("button", name="Make the endpoint").dblclick(no_wait_after=True)
    page.get_by_role("heading", name="once").wait_for()
    assert len(posts) == 1
    (one,) = client.get(PATH).json()["deployments"]
    assert (one["slug"], one["target"]) == ("once", BASE)
    page.get_by_role("link", name="Endpoints").first.click()
    page.get_by_role("link", name="once").wait_for()


def test_one_that_was_given_up_but_made_all_the_same_is_found(page: Any) -> None:
    def held(route: Any) -> None:
        if route.request.method == "POST":
            route.fetch()  # the backend does it, and its answer never comes
        else:
            route.continue_()

    page.route("**/api/deployments", held)
    page.goto("/endpoints")
    page.get_by_text("No endpoints yet").wait_for()
    page.get_by_role("button", name="New endpoint").first.click()
    page.get_by_label("Slug").fill("given-up")
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("given-up had been made already").wait_for()
    page.get_by_role("link", name="given-up").wait_for()
    page.unroute_all(behavior="ignoreErrors")


def test_a_key_is_not_left_behind(endpoint: Any) -> None:
    page = endpoint
    page.get_by_label("Who the new key is for").fill("<b>Desk</b>")
    page.get_by_role("button", name="Issue a key").click()
    page.get_by_role("heading", name="The new key").wait_for()
    plaintext = page.locator("#plaintext").inner_text()
    assert page.get_by_role("button", name="Issue a key").is_disabled()
    page.get_by_role("link", name="Runs").click()
    page.get_by_text("The new key is still shown").wait_for()
    page.keyboard.press("Escape")
    with page.expect_event("dialog") as closing:
        page.close(run_before_unload=True)
    assert closing.value.type == "beforeunload"
    closing.value.dismiss()
    assert page.locator("#plaintext").inner_text() == plaintext
    page.get_by_role("button", name="I have put it away").click()
    assert plaintext not in page.content()
    assert page.locator("#keys th span").inner_text() == "<b>Desk</b>"
    page.get_by_role("button", name="Revoke the key for").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.locator("#keys").get_by_text("revoked").wait_for()
    page.get_by_role("link", name="Runs").click()
    page.wait_for_url("**/runs")


def test_leaving_while_a_key_is_issued_is_asked_about_in_other_words(endpoint: Any) -> None:
    page = endpoint
    page.route(
        "**/keys", lambda route: None if route.request.method == "POST" else route.continue_()
    )
    page.get_by_label("Who the new key is for").fill("Desk")
    page.get_by_role("button", name="Issue a key").click()
    page.get_by_role("link", name="Runs").click()
    page.get_by_text("A key is being issued").wait_for()
    page.get_by_role("button", name="Leave").click()
    page.wait_for_url("**/runs")
    page.unroute_all(behavior="ignoreErrors")


def test_opening_it_to_everybody_is_asked_about(endpoint: Any) -> None:
    page = endpoint
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Everybody who knows the address").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Open it to everybody?").wait_for()
    page.get_by_role("button", name="Cancel").last.click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Make it public").click()
    page.locator("#facts").get_by_text("Everybody").wait_for()
    page.get_by_role("button", name="Python").click()
    sample = page.locator("#sample").inner_text()
    assert "/v1" in sample
    assert "ARKOR_ENDPOINT_KEY" not in sample


def test_it_is_disabled_and_deleted_once_that_is_confirmed(endpoint: Any, client: Any) -> None:
    page = endpoint
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    page.get_by_role("button", name="Enable").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("No endpoints yet").wait_for()
    assert client.get(PATH).json() == {"deployments": []}


def test_keys_that_cannot_be_loaded_leave_the_rest_in_peace(endpoint: Any, complaints: Any) -> None:
    page = endpoint
    page.route("**/keys", lambda route: route.fulfill(status=503, json={"error": "not now"}))
    page.reload()
    page.get_by_text("The keys cannot be shown: not now").wait_for()
    assert page.get_by_role("button", name="Delete").is_enabled()
    page.unroute("**/keys")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("No keys yet").wait_for()
    complaints.said.clear()


def test_an_endpoint_that_is_not_there(page: Any, complaints: Any) -> None:
    page.goto("/endpoints/nothing")
    page.get_by_role("heading", name="This endpoint cannot be shown").wait_for()
    page.get_by_role("link", name="All endpoints").wait_for()
    complaints.said.clear()
