"""Deployments and their keys over the wire, and what is left of them on the disk."""

import json
from typing import Any

import pytest
from serving import SCOPE, Server

BASE = {"kind": "base_model", "baseModel": "tiny"}
PLACE = "/v1/endpoints"


def new(slug: str, **more: Any) -> dict[str, Any]:
    return {"slug": slug, "target": BASE, "authMode": "fixed_api_key"} | more


def make(server: Server, slug: str, **more: Any) -> dict[str, Any]:
    answer = server.http.post(PLACE, json=new(slug, **more))
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["deployment"])


def issue(server: Server, made: dict[str, Any], label: str = "k") -> dict[str, Any]:
    answer = server.http.post(f"{PLACE}/{made['id']}/keys", json={"label": label})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["key"])


def keys(server: Server, made: dict[str, Any]) -> list[dict[str, Any]]:
    return list(server.http.get(f"{PLACE}/{made['id']}/keys").json()["keys"])


def test_an_endpoint_from_its_beginning_to_its_end(server) -> None:
    made = make(server, "whole-life")
    assert {key: made[key] for key in ("slug", "target", "authMode", "urlFormat", "enabled")} == {
        "slug": "whole-life",
        "target": BASE,
        "authMode": "fixed_api_key",
        "urlFormat": "openai_compat",
        "enabled": True,
    }
    assert (made["orgId"], made["customDomain"]) == ("local", None)
    assert (made["runRetentionMode"], made["runRetentionDays"]) == ("days", 7)
    assert made["baseUrl"] == f"{server.url}/v1/endpoints-public/whole-life/v1"
    one = f"{PLACE}/{made['id']}"
    assert server.http.get(one).json() == {"deployment": made}

    body = {"enabled": False, "authMode": "none", "runRetentionMode": "unlimited"}
    answer = server.http.patch(one, json=body)
    assert answer.status_code == 200
    changed = answer.json()["deployment"]
    del made["runRetentionDays"]
    assert changed == made | body | {"updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] >= made["updatedAt"]
    listed = server.http.get(PLACE).json()["deployments"]
    assert [each for each in listed if each["slug"] == "whole-life"] == [changed]

    answer = server.http.delete(one)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        assert server.http.request(method, one, json={}).status_code == 404
    make(server, "whole-life")


def test_the_newest_is_first(server) -> None:
    make(server, "first")
    make(server, "second")
    listed = [each["slug"] for each in server.http.get(PLACE).json()["deployments"]]
    assert listed[:2] == ["second", "first"]


def test_a_slug_is_taken_in_every_project_also_when_disabled(server) -> None:
    made = make(server, "taken")
    server.http.patch(f"{PLACE}/{made['id']}", json={"enabled": False})
    server.http.post("/v1/projects", json={"name": "other", "slug": "other"})
    other = SCOPE | {"projectSlug": "other"}
    for scope in (SCOPE, other):
        answer = server.http.post(PLACE, json=new("taken"), params=scope)
        assert answer.status_code == 409
        assert "taken" in answer.json()["error"]
    assert server.http.get(PLACE, params=other).json() == {"deployments": []}
    for path in (made["id"], f"{made['id']}/keys"):
        assert server.http.get(f"{PLACE}/{path}", params=other).status_code == 404


@pytest.mark.parametrize("slug", ["www", "api", "admin"])
def test_reserved_slugs(server, slug) -> None:
    answer = server.http.post(PLACE, json=new(slug))
    assert answer.status_code == 400
    assert "reserved" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slug": "x"}, "slug: "),
        ({"slug": "Upper", "authMode": "open"}, "slug: "),
        ({"authMode": "open"}, "authMode: "),
        ({"target": None}, "target: "),
        ({"target": {"kind": "adapter"}}, "target.adapter: "),
        ({"runRetentionDays": 7}, "runRetentionDays: "),
        ({"runRetentionMode": "days"}, "runRetentionDays: "),
        ({"runRetentionMode": "days", "runRetentionDays": 0}, "runRetentionDays: "),
    ],
)
def test_what_is_no_deployment(server, change, said) -> None:
    answer = server.http.post(PLACE, json=new("fine") | change)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)


@pytest.mark.parametrize(
    "body", [{"slug": "other"}, {"enabled": None}, {"runRetentionDays": 3}, {"target": {}}]
)
def test_what_is_no_change(server, body) -> None:
    made = server.http.get(PLACE).json()["deployments"] or [make(server, "unchanged")]
    one = f"{PLACE}/{made[0]['id']}"
    before = server.http.get(one).json()
    assert server.http.patch(one, json=body).status_code == 400
    assert server.http.get(one).json() == before


def test_an_adapter_must_be_there(server) -> None:
    final = {"kind": "adapter", "adapter": {"kind": "final", "jobId": "nope"}}
    assert server.http.post(PLACE, json=new("of-nothing", target=final)).status_code == 404
    job_id = server.submit(steps=2)
    server.finished(job_id)
    step = {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": job_id, "step": 99}}
    answer = server.http.post(PLACE, json=new("of-nothing", target=step))
    assert answer.status_code == 422
    assert "step 99" in answer.json()["error"]
    final["adapter"]["jobId"] = job_id  # type: ignore[index]
    made = make(server, "of-a-job", target=final)
    assert made["target"] == final
    assert server.http.patch(f"{PLACE}/{made['id']}", json={"target": step}).status_code == 422


def test_a_key_from_its_issue_to_its_end(server) -> None:
    made = make(server, "keyed")
    answer = server.http.post(f"{PLACE}/{made['id']}/keys", json={"label": "  laptop "})
    issued = answer.json()["key"]
    assert set(issued) == {"id", "label", "plaintext", "prefix", "createdAt"}
    assert issued["label"] == "laptop"
    assert issued["plaintext"].startswith(issued["prefix"])
    assert len(issued["plaintext"]) - len(issued["prefix"]) == 40
    assert answer.headers["cache-control"] == "no-store"

    second = issue(server, made, "second")
    expected = {"enabled": True, "lastUsedAt": None}
    del issued["plaintext"]
    first = issued | expected
    assert [key["id"] for key in keys(server, made)] == [issued["id"], second["id"]]
    assert keys(server, made)[0] == first

    for _ in range(2):
        answer = server.http.delete(f"{PLACE}/{made['id']}/keys/{issued['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert keys(server, made)[0] == first | {"enabled": False}
    assert keys(server, made)[1]["enabled"] is True
    assert server.http.delete(f"{PLACE}/{made['id']}/keys/nope").status_code == 404


@pytest.mark.parametrize("label", [None, "", "   ", 7, "x" * 81])
def test_a_label_has_1_to_80_characters(server, label) -> None:
    made = server.http.get(PLACE).json()["deployments"] or [make(server, "labelled")]
    answer = server.http.post(f"{PLACE}/{made[0]['id']}/keys", json={"label": label})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("label: ")


def test_endpoints_outlive_the_server_and_no_key_is_on_the_disk(start) -> None:
    server = start()
    made = make(server, "lasting", authMode="fixed_api_key")
    issued = issue(server, made)
    text = issued["plaintext"]
    server.http.post(
        made["baseUrl"] + "/chat/completions",
        json={"messages": [{"role": "user", "content": "x"}]},
        headers={"Authorization": f"Bearer {text}"},
    )
    before = server.http.get(PLACE).json(), keys(server, made)
    server.process.kill()
    server.process.wait()
    again = start()
    assert (again.http.get(PLACE).json(), keys(again, made)) == before
    assert before[1][0]["lastUsedAt"] is not None

    file = again.home / "backend" / "endpoints.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for path in (again.home / "backend").rglob("*"):
        assert not path.is_file() or text.encode() not in path.read_bytes(), path
    assert json.loads(file.read_bytes())["endpoints"][0]["keys"][0]["sha256"]
