"""Deployments, their targets and keys: read loosely, checked strictly before they are sent."""

from typing import Any

import pytest

from arkor.core.deployment_keys import parse_issued_key, parse_key
from arkor.core.deployment_rules import check_label
from arkor.core.deployments import (
    DeploymentChanges,
    NewDeployment,
    parse_deployment,
)
from arkor.core.targets import DeploymentTarget, parse_target
from arkor.core.wire import Adapter
from arkor.errors import ConfigError, ProtocolError

FINAL = {"kind": "adapter", "adapter": {"kind": "final", "jobId": "job-1"}}
STEP = {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": "job-1", "step": 20}}
BASE = {"kind": "base_model", "baseModel": "arkor/tiny"}
NEW = {"slug": "triage", "target": FINAL, "authMode": "fixed_api_key"}
WIRE = {
    "id": "d-1",
    "slug": "triage",
    "orgId": "org-1",
    "projectId": "project-1",
    "target": FINAL,
    "authMode": "fixed_api_key",
    "urlFormat": "openai_compat",
    "enabled": True,
    "customDomain": None,
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-02T00:00:00Z",
}
KEY = {
    "id": "k-1",
    "label": "laptop",
    "prefix": "ark_live_abcd1234",
    "enabled": True,
    "createdAt": "2026-01-01T00:00:00Z",
    "lastUsedAt": None,
}
PLAINTEXT = "ark_live_abcd1234secretsecret"


@pytest.mark.parametrize("target", [FINAL, STEP, BASE])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"runRetentionMode": "days", "runRetentionDays": 7},
        {"runRetentionMode": "for_ever_and_a_day", "authMode": "oidc", "urlFormat": "grpc"},
        {"customDomain": "chat.example", "region": "eu", "baseUrl": "http://127.0.0.1:1/v1"},
    ],
)
def test_what_is_read_is_what_is_shown(target: dict[str, Any], more: dict[str, Any]) -> None:
    wire = WIRE | more | {"target": target}
    assert parse_deployment(wire).to_wire() == wire


@pytest.mark.parametrize(
    "target",
    [
        {**BASE, "revision": "main"},
        {"kind": "adapter", "adapter": {**FINAL["adapter"], "sha256": "x"}, "note": 1},  # type: ignore[dict-item]
        {"kind": "adapter", "adapter": {"kind": "merged", "jobId": "job-1"}},
        {"kind": "adapter_stack", "adapters": []},
    ],
)
def test_what_nobody_knows_of_a_target_is_kept(target: dict[str, Any]) -> None:
    assert parse_target(target).to_wire() == target


def test_a_target_says_which_model() -> None:
    assert parse_target(STEP).adapter == Adapter("checkpoint", "job-1", 20)
    assert parse_target(BASE).base_model == "arkor/tiny"
    assert DeploymentTarget.of(Adapter("final", "job-1")).to_wire() == FINAL
    assert DeploymentTarget.of("arkor/tiny").to_wire() == BASE
    unknown = parse_target({"kind": "other"})
    assert (unknown.adapter, unknown.base_model) == (None, None)


@pytest.mark.parametrize("given", ["https://own.example/v1", "https://own.example/v1/"])
def test_where_an_endpoint_is(given: str) -> None:
    managed = parse_deployment(WIRE)
    assert managed.base_url == "https://triage.arkor.app/v1"
    assert managed.url == "https://triage.arkor.app/v1/chat/completions"
    own = parse_deployment(WIRE | {"baseUrl": given})
    assert own.url == "https://own.example/v1/chat/completions"
    assert parse_deployment(WIRE | {"baseUrl": "javascript:x"}).url == managed.url


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(({key: None}, f"`{key}`") for key in WIRE if key != "customDomain"),
        ({"customDomain": 7}, "`customDomain`"),
        ({"runRetentionDays": "7"}, "`runRetentionDays`"),
        ({"enabled": "yes"}, "`enabled`"),
        ({"target": {"kind": "base_model"}}, "which model"),
        ({"target": {"kind": "adapter", "adapter": {"kind": "final"}}}, "which model"),
        ({"target": {**STEP, "adapter": {"kind": "checkpoint", "jobId": "j"}}}, "which model"),
    ],
)
def test_a_deployment_that_is_none(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        parse_deployment(WIRE | change)


def test_what_is_no_object() -> None:
    for parse in (parse_deployment, parse_key, parse_issued_key):
        with pytest.raises(ProtocolError, match="not list"):
            parse([])


@pytest.mark.parametrize("slug", ["ab", "a1", "7-b", "a" * 50, "a--b"])
def test_slugs(slug: str) -> None:
    assert NewDeployment(slug, DeploymentTarget.of("m")).to_wire()["slug"] == slug


@pytest.mark.parametrize("slug", ["", "a", "-a", "a-", "A1", "a_b", "a" * 51, "ab\n", "ä1", "a.b"])
def test_what_is_no_slug(slug: str) -> None:
    with pytest.raises(ConfigError, match=r"^slug: must be 2 to 50") as caught:
        NewDeployment(slug, DeploymentTarget.of("m"))
    assert caught.value.field == "slug"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": None}, "slug"),
        ({"target": None}, "target"),
        ({"target": {"kind": "x"}}, "target.kind"),
        ({"target": {"kind": "base_model"}}, "target.baseModel"),
        ({"target": {"kind": "base_model", "baseModel": " "}}, "target.baseModel"),
        ({"target": {"kind": "adapter", "adapter": "job-1"}}, "target.adapter"),
        ({"target": {"kind": "adapter", "adapter": {"kind": "final"}}}, "target.adapter.jobId"),
        ({"target": {**FINAL, "adapter": {"kind": "best", "jobId": "j"}}}, "target.adapter.kind"),
        (
            {"target": {**STEP, "adapter": {"kind": "checkpoint", "jobId": "j"}}},
            "target.adapter.step",
        ),
        (
            {"target": {**STEP, "adapter": {"kind": "checkpoint", "jobId": "j", "step": True}}},
            "target.adapter.step",
        ),
        ({"authMode": None}, "authMode"),
        ({"authMode": "open"}, "authMode"),
        ({"authMode": ["none"]}, "authMode"),
        ({"runRetentionMode": None}, "runRetentionMode"),
        ({"runRetentionMode": "weeks"}, "runRetentionMode"),
        ({"runRetentionMode": "days"}, "runRetentionDays"),
        ({"runRetentionMode": "days", "runRetentionDays": 0}, "runRetentionDays"),
        ({"runRetentionMode": "days", "runRetentionDays": 1.5}, "runRetentionDays"),
        ({"runRetentionMode": "days", "runRetentionDays": True}, "runRetentionDays"),
        ({"runRetentionMode": "unlimited", "runRetentionDays": 7}, "runRetentionDays"),
        ({"runRetentionDays": 7}, "runRetentionDays"),
    ],
)
def test_what_makes_no_deployment(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{field}: ") as caught:
        NewDeployment.read(NEW | change)
    assert caught.value.field == field
    if "slug" not in change:  # the same rules for a change, where the field is given
        with pytest.raises(ConfigError, match=rf"^{field}: "):
            DeploymentChanges.read(change)


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        NewDeployment.read({"slug": "A", "target": {}, "authMode": "x", "runRetentionDays": 0})
    paths = [fault.partition(":")[0] for fault in str(caught.value).split("; ")]
    assert paths == ["slug", "target.kind", "authMode", "runRetentionDays"]


def test_what_is_not_given_is_not_sent() -> None:
    assert NewDeployment("triage", parse_target(FINAL)).to_wire() == NEW
    body = NEW | {"runRetentionMode": "days", "runRetentionDays": 3}
    body |= {"region": "eu", "enabled": False}
    assert NewDeployment.read(body).to_wire() == body
    assert DeploymentChanges().to_wire() == {}
    assert DeploymentChanges(enabled=False).to_wire() == {"enabled": False}
    body = {"target": BASE, "authMode": "none", "enabled": True, "region": "eu"}
    assert DeploymentChanges.read(body).to_wire() == body


@pytest.mark.parametrize("body", [{"slug": "other"}, {"enabled": None}, {"enabled": 1}])
def test_what_changes_no_deployment(body: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(body))}: "):
        DeploymentChanges.read(body)


def test_a_change_leaves_the_rest() -> None:
    before = parse_deployment(WIRE | {"runRetentionMode": "days", "runRetentionDays": 7})
    same = DeploymentChanges().apply(before, "later")
    assert same.to_wire() == before.to_wire() | {"updatedAt": "later"}
    target = parse_target(BASE)
    after = DeploymentChanges(target=target, enabled=False).apply(before, "later")
    assert (after.target, after.enabled, after.auth_mode) == (target, False, "fixed_api_key")
    assert after.run_retention_days == 7
    after = DeploymentChanges(run_retention_mode="unlimited").apply(before, "later")
    assert (after.run_retention_mode, after.run_retention_days) == ("unlimited", None)


def test_a_listed_key_has_no_plaintext() -> None:
    found = parse_key(KEY | {"plaintext": PLAINTEXT, "scopes": ["chat"]})
    assert found.to_wire() == KEY | {"scopes": ["chat"]}
    assert PLAINTEXT not in repr(found)


def test_a_new_key_shows_its_plaintext_when_asked_only() -> None:
    wire = {key: KEY[key] for key in ("id", "label", "prefix", "createdAt")}
    issued = parse_issued_key(wire | {"plaintext": PLAINTEXT, "scopes": []})
    assert issued.plaintext == PLAINTEXT
    assert issued.to_wire() == wire | {"plaintext": PLAINTEXT, "scopes": []}
    assert PLAINTEXT not in repr(issued)


@pytest.mark.parametrize("key", ["id", "label", "prefix", "createdAt", "enabled"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ProtocolError, match=f"`{key}`"):
        parse_key(KEY | {key: None})
    with pytest.raises(ProtocolError, match="`lastUsedAt`"):
        parse_key(KEY | {"lastUsedAt": 7})
    with pytest.raises(ProtocolError, match="`plaintext`"):
        parse_issued_key(KEY)


def test_labels() -> None:
    assert check_label("  the laptop\n") == "the laptop"
    assert check_label("x" * 80) == "x" * 80
    for label in (None, 7, "", "  ", "x" * 81):
        with pytest.raises(ConfigError, match=r"^label: must be a text of 1 to 80") as caught:
            check_label(label)
        assert caught.value.field == "label"
