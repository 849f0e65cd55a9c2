"""A recorded run's session: our token goes to nobody but whom it is for."""

import asyncio
from pathlib import Path

import pytest

from arkor.core.wire import Scope
from arkor.errors import ConfigError
from arkor.runner.options import TrainerOptions
from arkor.runner.session import Session, home_of, reopen_session
from arkor.store.credentials import AnonymousCredentials, write_credentials

THERE = "https://there.example"
ELSEWHERE = "https://elsewhere.example"
CLOUD = "https://api.arkor.ai"


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(folder)
    return folder


def credentials(address: str | None) -> AnonymousCredentials:
    return AnonymousCredentials("a-token-of-this-test-0123", "anon-1", "anon-org", address)


def reopen(
    address: str, options: TrainerOptions | None = None, root: Path | None = None
) -> Session:
    scope = Scope("org", "project")
    root = root or Path.cwd()
    return asyncio.run(
        reopen_session(options or TrainerOptions(), root=root, address=address, scope=scope)
    )


@pytest.mark.parametrize(
    ("recorded", "stored", "variable"),
    [
        (THERE, THERE, None),
        (THERE, f"{THERE}/", None),
        (THERE, THERE, ELSEWHERE),
        (THERE, ELSEWHERE, THERE),
        (THERE, None, f"{THERE}/"),
        (CLOUD, None, None),
        (CLOUD, CLOUD, "local"),
    ],
)
def test_a_stored_token_goes_where_it_is_from_or_where_it_is_told_to_go(
    recorded: str, stored: str | None, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_credentials(credentials(stored))
    if variable:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", variable)
    session = reopen(recorded)
    assert (session.address, session.identity) == (recorded, credentials(stored))


@pytest.mark.parametrize(
    ("recorded", "stored", "variable"),
    [
        (THERE, ELSEWHERE, None),
        (THERE, ELSEWHERE, ELSEWHERE),
        (THERE, None, None),
        (THERE, None, ""),
        (CLOUD, THERE, None),
        (CLOUD, None, THERE),
    ],
)
def test_a_stored_token_goes_nowhere_else(
    recorded: str, stored: str | None, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_credentials(credentials(stored))
    if variable is not None:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", variable)
    with pytest.raises(ConfigError, match=r"recorded at .*set ARKOR_CLOUD_API_URL") as caught:
        reopen(recorded)
    assert repr(recorded) in str(caught.value)
    assert "a-token-of-this-test" not in str(caught.value)


def test_the_environments_token_is_for_the_address_that_is_set(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_TOKEN", "environment-token-0123456789")
    with pytest.raises(ConfigError, match=rf"is for '{CLOUD}'"):
        reopen(THERE)
    (project / "pyproject.toml").write_text(f"[tool.arkor]\nbackend = '{THERE}'\n")
    # The run's own project counts, from wherever it is resumed.
    monkeypatch.chdir(tmp_path)
    assert reopen(THERE, root=project).address == THERE


@pytest.mark.parametrize(
    "options",
    [
        TrainerOptions(base_url=ELSEWHERE),
        TrainerOptions(base_url=ELSEWHERE, credentials=credentials(THERE)),
        TrainerOptions(base_url="local"),
        TrainerOptions(credentials=credentials(ELSEWHERE)),
        TrainerOptions(credentials=credentials(None)),
    ],
)
def test_what_is_pinned_for_another_backend_is_refused(options: TrainerOptions) -> None:
    write_credentials(credentials(THERE))
    with pytest.raises(ConfigError, match=f"recorded at '{THERE}'"):
        reopen(THERE, options)


def test_what_is_pinned_for_the_runs_backend_is_used() -> None:
    for pinned in (
        TrainerOptions(base_url=f"{THERE}/", credentials=credentials(None)),
        TrainerOptions(base_url=THERE, credentials=credentials(ELSEWHERE)),
        TrainerOptions(credentials=credentials(THERE)),
    ):
        assert reopen(THERE, pinned).identity == pinned.credentials


def test_a_run_of_the_embedded_backend_needs_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    write_credentials(credentials(THERE))
    assert reopen("local").identity is None
    monkeypatch.setenv("ARKOR_TOKEN", "environment-token-0123456789")
    assert reopen("local").identity is None
    with pytest.raises(ConfigError, match="recorded at 'local'"):
        reopen("local", TrainerOptions(base_url=THERE))


def test_a_password_in_an_old_journal_is_not_shown() -> None:
    write_credentials(credentials(THERE))
    with pytest.raises(ConfigError) as caught:
        reopen("https://ada:hush@old.example")
    assert "hush" not in str(caught.value)
    assert "old.example" in str(caught.value)


def test_every_way_to_the_store_is_the_same(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home_of(TrainerOptions()) == home
    monkeypatch.delenv("ARKOR_HOME")
    (project / "pyproject.toml").write_text("[tool.arkor]\nhome = 'store'\n")
    (project / "below").mkdir()
    assert home_of(TrainerOptions()) == project / "store"
    monkeypatch.chdir(project.parent)
    assert home_of(TrainerOptions(cwd=project / "below")) == project / "store"
    assert home_of(TrainerOptions(cwd=project, home="mine")) == project / "mine"


def test_a_mask_is_no_secret() -> None:
    session = reopen("local")
    session.keep_token_of({"datasetSource": {"type": "blob", "token": "[secret:0123456789abcdef]"}})
    session.keep_token_of({"datasetSource": {"type": "blob", "token": None}})
    session.keep_token_of({"datasetSource": "text"})
    session.keep_token_of({})
    assert session.secrets == frozenset()
    session.keep_token_of({"datasetSource": {"type": "blob", "token": "tiny"}})
    assert session.secrets == {"tiny"}
