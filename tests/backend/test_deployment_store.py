"""The file of the endpoints: what it cannot be read or written for, and what that changes."""

import json
import shutil
from pathlib import Path

import pytest

from arkor.backend.deployments import Deployments
from arkor.backend.jobs import Project, SlugTakenError
from arkor.core.deployments import DeploymentChanges, NewDeployment
from arkor.core.targets import DeploymentTarget
from arkor.errors import ArkorError

DEMO = Project("p-1", "demo", "Demo")
NEW = NewDeployment("tiny", DeploymentTarget.of("arkor/tiny"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backend" / "endpoints.json"


@pytest.fixture
def store(path: Path) -> Deployments:
    path.parent.mkdir()
    return Deployments(path)


def test_what_was_kept_is_there_again(store, path) -> None:
    issued = store.issue(store.create(NEW, DEMO), "laptop")
    endpoint = store.by_slug("tiny")
    store.revoke(endpoint, endpoint.key(issued.id))
    store.issue(store.by_slug("tiny"), "phone")
    assert Deployments(path).of_project(DEMO) == store.of_project(DEMO)
    store.delete(store.by_slug("tiny"))
    assert Deployments(path).of_project(DEMO) == []


def test_a_change_that_cannot_be_written_has_not_happened(store, path) -> None:
    issued = store.issue(store.create(NEW, DEMO), "laptop")
    before = store.by_slug("tiny")
    shutil.rmtree(path.parent)
    for change in (
        lambda: store.create(NewDeployment("two", NEW.target), DEMO),
        lambda: store.change(before, DeploymentChanges(enabled=False)),
        lambda: store.issue(before, "phone"),
        lambda: store.revoke(before, before.key(issued.id)),
        lambda: store.delete(before),
    ):
        with pytest.raises(OSError):
            change()
    assert store.of_project(DEMO) == [before]


def test_a_use_that_cannot_be_noted_is_said_in_the_log(store, path, caplog) -> None:
    issued = store.issue(store.create(NEW, DEMO), "laptop")
    endpoint = store.by_slug("tiny")
    shutil.rmtree(path.parent)
    store.note_use(endpoint, endpoint.opened_by(issued.plaintext))
    assert issued.id in caplog.text
    assert issued.plaintext not in caplog.text


def test_two_endpoints_never_have_one_slug(store) -> None:
    store.create(NEW, DEMO)
    with pytest.raises(SlugTakenError):
        store.create(NEW, Project("p-2", "other", "Other"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2, "endpoints": []}',
        '{"format": 1, "endpoints": 7}',
        '{"format": 1, "endpoints": [7]}',
        '{"format": 1, "endpoints": [{"deployment": {}, "keys": []}]}',
    ],
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(path, content) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ArkorError, match=r"endpoints\.json.*left as it is"):
        Deployments(path)
    assert path.read_text() == content


def test_a_key_is_kept_as_its_digest_alone(store, path) -> None:
    issued = store.issue(store.create(NEW, DEMO), "laptop")
    [endpoint] = json.loads(path.read_bytes())["endpoints"]
    [kept] = endpoint["keys"]
    assert len(kept["sha256"]) == 64
    assert issued.plaintext not in path.read_text()
    assert issued.plaintext not in repr(store.by_slug("tiny"))
