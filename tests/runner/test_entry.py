"""An entry loads as a user expects it: siblings, edits, artifacts; and errors name the place."""

import os
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

import arkor as installed
from arkor.errors import ConfigError, EntryError
from arkor.runner.build import build
from arkor.runner.entry import default_entry, load_entry
from arkor.runner.manifest import create_arkor, find_trainer, is_arkor
from arkor.runner.provenance import current_entry

TRAINER = """
from arkor.runner.provenance import current_entry


class Trainer:
    def __init__(self, name="one"):
        self.name = name
        self.entry = current_entry()

    async def start(self): ...
    async def wait(self): ...
    async def cancel(self): ...
"""


def write(root: Path, modules: Mapping[str, str]) -> Path:
    """Make `root` a project with these modules."""
    (root / "pyproject.toml").write_text("[tool.arkor]\n")
    for name, text in modules.items():
        file = root / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose folder is called like the installed package."""
    return write(
        tmp_path,
        {
            "src/arkor/index": """
                import arkor as package
                from .trainer import Trainer
                from .steps import first
                trainer = Trainer(first.NAME)
                """,
            "src/arkor/trainer": TRAINER,
            "src/arkor/steps/first": "NAME = 'first'",
        },
    )


def index(project: Path) -> Path:
    return project / "src" / "arkor" / "index.py"


def test_the_usual_entry_is_found_from_below_the_root(project: Path) -> None:
    assert default_entry(project / "src" / "arkor" / "steps") == index(project)


def test_the_project_file_names_another_entry(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.arkor]\nentry = "train.py"\n')
    assert default_entry(project) == project / "train.py"


def test_siblings_load_and_nothing_installed_is_shadowed(project: Path) -> None:
    before = list(sys.path)
    loaded = load_entry(index(project))
    assert loaded.module.trainer.name == "first"
    assert loaded.module.package is installed
    assert sys.modules["arkor"] is installed
    assert sys.path == before
    assert loaded.project_root == project
    assert sorted(loaded.digests) == [
        "src/arkor/index.py",
        "src/arkor/steps/first.py",
        "src/arkor/trainer.py",
    ]


def test_the_default_entry_is_that_of_the_current_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "src")
    assert load_entry().path == index(project)
    monkeypatch.chdir(project)
    assert load_entry("src/arkor/index.py").path == index(project)


def test_a_trainer_knows_the_entry_it_was_made_in(project: Path) -> None:
    loaded = load_entry(index(project))
    source = loaded.module.trainer.entry
    assert source.path == index(project)
    assert source.digests is loaded.digests
    assert current_entry() is None


def test_an_edit_is_seen_at_once_even_within_one_tick_of_the_clock(project: Path) -> None:
    steps = project / "src" / "arkor" / "steps" / "first.py"
    first = load_entry(index(project))
    stamp = steps.stat().st_mtime_ns
    steps.write_text("NAME = 'other'")
    os.utime(steps, ns=(stamp, stamp))
    second = load_entry(index(project))
    assert (first.module.trainer.name, second.module.trainer.name) == ("first", "other")
    assert first.digests != second.digests
    assert not list(project.rglob("*.pyc"))


def test_parents_and_absolute_siblings_can_be_imported_also_later(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shared": "VALUE = 1",
            "app/index": """
                import plain
                from plain_package.deep import VALUE as deep
                from ..shared import VALUE
                def later():
                    import late
                    from .late_too import VALUE as too
                    from plain_package import second
                    return late.VALUE, too, second.VALUE
                """,
            "app/plain": "VALUE = 2",
            "app/plain_package/__init__": "",
            "app/plain_package/deep": "VALUE = 3",
            "app/plain_package/second": "VALUE = 4",
            "app/late": "VALUE = 5",
            "app/late_too": "VALUE = 6",
        },
    )
    loaded = load_entry(tmp_path / "app" / "index.py")
    module = loaded.module
    assert (module.plain.VALUE, module.deep, module.VALUE) == (2, 3, 1)
    assert module.later() == (5, 6, 4)
    assert {"app/late.py", "app/late_too.py", "app/plain_package/second.py"} <= set(loaded.digests)


def test_two_projects_with_siblings_of_one_name_do_not_mix(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (folder := tmp_path / name).mkdir()
        modules = {"index": "from common_name import NAME", "common_name": f"NAME = {name!r}"}
        write(folder, modules)
    names = [load_entry(tmp_path / name / "index.py").module.NAME for name in ("a", "b", "a")]
    assert names == ["a", "b", "a"]


def test_a_plain_folder_beside_the_entry_hides_no_installed_package(tmp_path: Path) -> None:
    write(tmp_path, {"index": "import wsgiref.util as found"})
    (tmp_path / "wsgiref").mkdir()
    found = load_entry(tmp_path / "index.py").module.found
    assert not found.__file__.startswith(str(tmp_path))


@pytest.mark.parametrize("name", ["my-entry.py", "train.v2.py", "__init__.py", "a.b/c/index.py"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write(tmp_path, {})
    file.write_text("from .beside import VALUE\n")
    (file.parent / "beside.py").write_text("VALUE = 7\n")
    loaded = load_entry(file)
    assert loaded.module.VALUE == 7
    assert loaded.module.__file__ == str(file)


def test_a_package_runs_its_init_and_finds_its_data(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app/__init__": "READY = True",
            "app/index": """
                from importlib.resources import files
                from . import READY
                TEXT = files(__package__).joinpath("data.txt").read_text()
                """,
        },
    )
    (tmp_path / "app" / "data.txt").write_text("found")
    module = load_entry(tmp_path / "app" / "index.py").module
    assert (module.READY, module.TEXT) == (True, "found")


# -- which trainer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exports", "name"),
    [
        ("trainer = Trainer('t')\narkor = create_arkor(trainer=Trainer('a'))", "a"),
        ("trainer = Trainer('t')\narkor = Trainer('bare')", "bare"),
        ("trainer = Trainer('t')\narkor = create_arkor()", "t"),
        ("import arkor\ntrainer = Trainer('t')\ndefault = Trainer('d')", "t"),
        ("default = create_arkor(trainer=Trainer('d'))", "d"),
        ("default = Trainer('d')", "d"),
        ("class default:\n    trainer = Trainer('inner')", "inner"),
        ("trainer = Trainer\ndefault = Trainer('d')", "d"),
    ],
)
def test_the_trainer_is_found_in_the_documented_order(
    tmp_path: Path, exports: str, name: str
) -> None:
    text = f"{TRAINER}\nfrom arkor.runner.manifest import create_arkor\n{exports}\n"
    module = load_entry(write(tmp_path, {"index": text}) / "index.py").module
    assert find_trainer(module).name == name  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["", "import arkor", "trainer = object()", "default = {}"])
def test_an_entry_without_a_trainer_is_told_what_to_export(tmp_path: Path, text: str) -> None:
    module = load_entry(write(tmp_path, {"index": text}) / "index.py").module
    with pytest.raises(EntryError, match="must export `arkor`, `trainer` or `default`") as caught:
        find_trainer(module)
    assert str(tmp_path / "index.py") in str(caught.value)


def test_a_manifest_is_known_by_its_tag() -> None:
    manifest = create_arkor()
    assert is_arkor(manifest)
    assert manifest.trainer is None
    with pytest.raises(AttributeError):
        manifest.trainer = None  # type: ignore[misc]
    for other in (None, 3, "arkor", {"_kind": "arkor"}, object(), installed):
        assert not is_arkor(other)


# -- errors ------------------------------------------------------------------------------------


def test_a_missing_entry_is_named_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EntryError) as caught:
        load_entry("../nothing.py")
    assert f"Training entry not found: {tmp_path.parent / 'nothing.py'};" in str(caught.value)
    with pytest.raises(EntryError) as caught:
        load_entry()
    assert f"Training entry not found: {tmp_path / 'src/arkor/index.py'};" in str(caught.value)
    assert "arkor init" in str(caught.value)


def test_a_folder_or_another_kind_of_file_is_no_entry(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="is a folder"):
        load_entry(tmp_path)
    (tmp_path / "index.ts").touch()
    with pytest.raises(EntryError, match="must be a Python file"):
        load_entry(tmp_path / "index.ts")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError: "),
        ("import nothing_like_this\n", 1, "No module named 'nothing_like_this'"),
        ("\n\nraise RuntimeError('two\\nlines')\n", 3, "RuntimeError: two"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError: "),
        ("import sys\nsys.exit(3)\n", 2, "it calls sys.exit()"),
        ("from arkor.errors import ConfigError\nraise ConfigError('name: bad')", 2, "name: bad"),
        ("raise KeyboardInterrupt\n", None, ""),
    ],
)
def test_code_that_raises_is_located(
    tmp_path: Path, text: str, line: int | None, says: str
) -> None:
    write(tmp_path, {"index": "from . import broken\n"})
    (tmp_path / "broken.py").write_text(text)
    before = list(sys.meta_path)
    with pytest.raises(EntryError if line else KeyboardInterrupt) as caught:
        load_entry(tmp_path / "index.py")
    if line:
        assert f"{tmp_path / 'broken.py'}:{line}: " in str(caught.value)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None
    assert sys.meta_path == before
    assert not [name for name in sys.modules if name.endswith(".broken")]


def test_a_wrong_option_keeps_its_error_as_the_cause(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"index": "from arkor.errors import ConfigError\nraise ConfigError('x', field='f')"},
    )
    with pytest.raises(EntryError) as caught:
        load_entry(tmp_path / "index.py")
    assert isinstance(caught.value.__cause__, ConfigError)
    assert caught.value.__cause__.field == "f"


def test_a_load_after_a_failed_one_works(project: Path) -> None:
    steps = project / "src" / "arkor" / "steps" / "first.py"
    steps.write_text("NAME =")
    with pytest.raises(EntryError):
        load_entry(index(project))
    steps.write_text("NAME = 'mended'")
    assert load_entry(index(project)).module.trainer.name == "mended"


# -- artifacts ---------------------------------------------------------------------------------


def test_an_artifact_runs_what_was_built_and_not_what_lies_beside_it(project: Path) -> None:
    built = build(index(project))
    (project / "src" / "arkor" / "steps" / "first.py").write_text("NAME = 'edited'")
    loaded = load_entry(built.path)
    assert loaded.module.trainer.name == "first"
    assert loaded.artifact_sha256 == built.sha256
    assert loaded.digests == built.modules
    assert loaded.project_root == project
    assert loaded.module.__file__ == str(index(project))
    assert loaded.module.trainer.entry.name == ".arkor/build/index.pyz"


def test_an_artifact_runs_without_its_sources(project: Path, tmp_path: Path) -> None:
    built = build(index(project), out=tmp_path / "elsewhere" / "index.pyz")
    elsewhere = built.path.rename(tmp_path / "moved.pyz")
    for file in (project / "src").rglob("*.py"):
        file.unlink()
    assert load_entry(elsewhere).module.trainer.name == "first"


def test_a_traceback_from_an_artifact_shows_its_own_lines(tmp_path: Path) -> None:
    write(tmp_path, {"index": "VALUE = 1\nraise ValueError('built')\n"})
    built = build(tmp_path / "index.py")
    (tmp_path / "index.py").write_text("# nothing of it is left\n" * 3)
    with pytest.raises(EntryError, match=r"index\.pyz/index\.py:2: ValueError: built"):
        load_entry(built.path)
