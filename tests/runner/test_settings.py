"""An argument wins over the environment, that over the project's file, that over the user's."""

from pathlib import Path

import pytest

from arkor.errors import ConfigError
from arkor.runner.options import TrainerOptions
from arkor.runner.settings import load_settings, user_config


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and a configuration folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write_project(folder: Path, table: str) -> Path:
    file = folder / "pyproject.toml"
    file.write_text(f"[project]\nname = 'x'\n[tool.arkor]\n{table}\n")
    return file


def write_user(text: str) -> Path:
    file = user_config()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_nothing_is_set_by_default(project: Path) -> None:
    settings = load_settings(project)
    assert (settings.entry, settings.backend, settings.home) == (None, None, None)


def test_each_level_wins_over_the_ones_after_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = write_user('backend = "http://user"\nhome = "store"\n')
    assert load_settings(project).backend == "http://user"
    assert load_settings(project).home == user.parent / "store"

    write_project(project, 'backend = "http://project"\nhome = "./here"')
    assert load_settings(project).backend == "http://project"
    assert load_settings(project).home == project / "here"

    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://environment/")
    monkeypatch.setenv("ARKOR_HOME", "/environment")
    assert load_settings(project).backend == "http://environment"
    assert load_settings(project).home == Path("/environment")

    given = load_settings(project, backend="local", home="~/argument")
    assert given.backend == "local"
    assert given.home == Path.home() / "argument"


def test_a_variable_that_exists_but_is_empty_never_means_the_cloud(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(project, 'backend = "http://project"')
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "")
    assert load_settings(project).backend == ""


def test_the_project_is_found_from_a_folder_below_it(project: Path) -> None:
    write_project(project, 'entry = "code/train.py"')
    (below := project / "a" / "b").mkdir(parents=True)
    assert load_settings(below).entry == project / "code" / "train.py"


@pytest.mark.parametrize(
    ("table", "says", "field"),
    [
        ("entri = 'x.py'", "[tool.arkor] has no key 'entri'; did you mean 'entry'?", "entri"),
        ("zzz = 1", "has no key 'zzz'; there are backend, credentials, entry, home", "zzz"),
        ("home = 3", "[tool.arkor] home must be a text, not 3", "home"),
        ("credentials = 'k'", "credentials must be `file` or `keyring`, not 'k'", None),
        ("entry = ''", "[tool.arkor] entry must be a text, not ''", "entry"),
        ("backend = 'example.org'", "backend must be `local` or a URL", None),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(
    project: Path, table: str, says: str, field: str | None
) -> None:
    file = write_project(project, table)
    with pytest.raises(ConfigError) as caught:
        load_settings(project)
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)
    assert field is None or caught.value.field == field


def test_a_file_that_is_not_toml_is_named(project: Path) -> None:
    file = write_user("backend = \n")
    with pytest.raises(ConfigError, match="is not valid TOML") as caught:
        load_settings(project)
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(project: Path) -> None:
    user_config().mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        load_settings(project)


def test_tool_arkor_must_be_a_table(project: Path) -> None:
    (project / "src" / "arkor").mkdir(parents=True)
    (project / "src" / "arkor" / "index.py").touch()
    (project / "pyproject.toml").write_text("[tool]\narkor = 3\n")
    with pytest.raises(ConfigError, match="`arkor` must be a table"):
        load_settings(project)


@pytest.mark.parametrize("name", ["ARKOR_CLOUD_API_URL", "backend"])
def test_an_address_without_a_scheme_is_refused_by_name(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"backend": "localhost:4000"} if name == "backend" else {}
    if not given:
        monkeypatch.setenv(name, "localhost:4000")
    with pytest.raises(ConfigError, match=f"^{name} must be"):
        load_settings(project, **given)


@pytest.mark.parametrize("scheme", ["https://", "http://", "ftp://", ""])
@pytest.mark.parametrize("user", ["ada:hush", "ada", "ada:hu/sh", ":hu#sh"])
def test_an_address_with_a_password_is_refused_unquoted(
    project: Path, scheme: str, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{scheme}{user}@host.example"

    def options() -> object:
        return TrainerOptions(base_url=address)

    def table() -> object:
        write_project(project, f"backend = '{address}'")
        return load_settings(project)

    def variable() -> object:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", address)
        return load_settings(project)

    for give, where in ((options, "options.base_url"), (table, "backend"), (variable, "ARKOR_")):
        with pytest.raises(ConfigError, match="without an @") as caught:
            give()
        assert where in str(caught.value)
        assert user not in str(caught.value)
