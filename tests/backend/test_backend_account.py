"""Identity and projects over the wire."""

import pytest


@pytest.mark.parametrize("kind", ["cli", "web"])
def test_the_anonymous_identity_is_the_machines_user(server, kind) -> None:
    answer = server.http.post("/v1/auth/anonymous", json={"kind": kind})
    assert answer.status_code == 200
    said = answer.json()
    assert said["token"] == server.token
    assert said["kind"] == kind
    assert said["anonymousId"]
    assert said["personalOrg"]["slug"] == "local"
    assert set(said["personalOrg"]) == {"id", "slug", "name"}


def test_an_unknown_kind_of_identity_is_refused(server) -> None:
    assert server.http.post("/v1/auth/anonymous", json={"kind": "robot"}).status_code == 400


def test_there_is_no_oauth(server) -> None:
    said = server.http.get("/v1/auth/cli/config").json()
    nothing = {"auth0Domain": None, "clientId": None, "audience": None, "callbackPorts": []}
    assert said == nothing


def test_me_names_the_one_organisation(server) -> None:
    said = server.http.get("/v1/me").json()
    assert said["user"]["id"]
    assert [org["slug"] for org in said["orgs"]] == ["local"]


def test_a_project_is_made_once(server) -> None:
    body = {"name": "My Project", "slug": "my-project"}
    made = server.http.post("/v1/projects", json=body)
    assert made.status_code == 201
    project = made.json()["project"]
    assert project | body == project
    assert project["orgId"] == "local"

    again = server.http.post("/v1/projects", json=body)
    assert again.status_code == 409
    assert "my-project" in again.json()["error"]

    listed = server.http.get("/v1/projects").json()
    assert listed["org"]["slug"] == "local"
    assert project in listed["projects"]


@pytest.mark.parametrize(
    "slug", [None, "", "-a", "Aa", "a_b", "a b", "a/b", "ä", "a\n", "a" * 64, 7]
)
def test_a_bad_slug_is_refused(server, slug) -> None:
    answer = server.http.post("/v1/projects", json={"name": "x", "slug": slug})
    assert answer.status_code == 400
    assert "slug" in answer.json()["error"]


@pytest.mark.parametrize("name", [None, "", " ", 7])
def test_a_project_needs_a_name(server, name) -> None:
    answer = server.http.post("/v1/projects", json={"name": name, "slug": "fine"})
    assert answer.status_code == 400


@pytest.mark.parametrize("org", ["", "other"])
def test_another_organisation_is_not_found(server, org) -> None:
    for path in ("/v1/projects", "/v1/jobs"):
        assert server.http.get(path, params={"orgSlug": org}).status_code == 404
