"""One file, the same bytes each time, and any change of it is found."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from arkor.errors import EntryError
from arkor.runner.artifact import open_artifact, pack
from arkor.runner.build import build
from arkor.runner.entry import load_entry


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that imports in every way that is found statically."""
    root = tmp_path / "project"
    files = {
        "pyproject.toml": "[tool.arkor]\n",
        "src/shared.py": "VALUE = 1\n",
        "src/arkor/index.py": (
            "import json, plain, os.path\n"
            "import arkor\n"
            "from . import beside\n"
            "from ..shared import VALUE\n"
            "from .package.deep import thing\n"
            "from .starred import *\n"
            "def later():\n"
            "    from .late import VALUE\n"
        ),
        "src/arkor/plain.py": "from plain_too import x\n",
        "src/arkor/plain_too.py": "x = 1\n",
        "src/arkor/beside.py": "from .twice_removed import x\n",
        "src/arkor/twice_removed.py": "from .beside import __name__ as x  # a cycle\n",
        "src/arkor/package/__init__.py": "from . import of_init\n",
        "src/arkor/package/of_init.py": "",
        "src/arkor/package/deep/__init__.py": "",
        "src/arkor/package/deep/thing.py": "import torch_like_thing_that_is_not_there\n",
        "src/arkor/starred/__init__.py": "__all__ = ['star']\n",
        "src/arkor/starred/star.py": "",
        "src/arkor/late.py": "VALUE = 2\n",
        "src/arkor/never_imported.py": "",
        "src/other.py": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


LEFT_OUT = {"src/arkor/never_imported.py", "src/other.py"}


def sources(project: Path) -> set[str]:
    return {file.relative_to(project).as_posix() for file in project.rglob("*.py")}


def test_the_entry_and_what_it_imports_are_in_it_and_no_more(project: Path) -> None:
    built = build(cwd=project)
    assert built.path == project / ".arkor" / "build" / "index.pyz"
    assert built.entry == project / "src" / "arkor" / "index.py"
    assert set(built.modules) == sources(project) - LEFT_OUT
    with zipfile.ZipFile(built.path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["entry"] == "src/arkor/index.py"
    assert manifest["modules"] == built.modules
    assert manifest["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_bytes_depend_on_nothing_but_the_sources(project: Path, tmp_path: Path) -> None:
    first = build(cwd=project)
    content = first.path.read_bytes()
    copy = tmp_path / "another" / "place"
    shutil.copytree(project, copy)
    for file in copy.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "from arkor.runner.build import build; import sys; print(build(cwd=sys.argv[1]).sha256)",
            str(copy),
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == first.sha256
    assert (copy / ".arkor" / "build" / "index.pyz").read_bytes() == content
    assert build(cwd=project).path.read_bytes() == content


def test_out_is_a_file_or_a_folder(project: Path, tmp_path: Path) -> None:
    assert build(cwd=project, out="dist").path == project / "dist" / "index.pyz"
    assert build(cwd=project, out=tmp_path / "a.pyz").path == tmp_path / "a.pyz"


def test_a_missing_entry_is_named_absolutely(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=r"^Build entry not found: ") as caught:
        build("nothing.py", cwd=tmp_path)
    assert str(tmp_path / "nothing.py") in str(caught.value)


def test_an_artifact_is_not_built_again(project: Path) -> None:
    with pytest.raises(EntryError, match="is built already"):
        build(build(cwd=project).path)


def test_a_syntax_error_anywhere_stops_the_build(project: Path) -> None:
    (broken := project / "src" / "arkor" / "late.py").write_text("x = 1\nx ==\n")
    with pytest.raises(EntryError) as caught:
        build(cwd=project)
    assert f"{broken}:2: SyntaxError" in str(caught.value)
    assert not (project / ".arkor").exists()


def test_no_code_of_the_project_runs(project: Path) -> None:
    (project / "src" / "arkor" / "plain.py").write_text("raise SystemExit('ran')\n")
    assert "src/arkor/plain.py" in build(cwd=project).modules


def test_an_earlier_artifact_survives_a_build_that_cannot_write(
    project: Path, tmp_path: Path
) -> None:
    built = build(cwd=project)
    assert [file.name for file in built.path.parent.iterdir()] == ["index.pyz"]
    (tmp_path / "in_the_way").touch()
    with pytest.raises(OSError):
        build(cwd=project, out=tmp_path / "in_the_way" / "x.pyz")
    assert open_artifact(built.path).sha256 == built.sha256


def test_a_changed_module_is_named(project: Path) -> None:
    built = build(cwd=project)
    artifact = open_artifact(built.path)
    changed = artifact.modules | {"src/arkor/late.py": b"VALUE = 3\n"}
    with (
        zipfile.ZipFile(built.path) as archive,
        zipfile.ZipFile(forged := built.path.with_name("forged.pyz"), "w") as copy,
    ):
        copy.writestr("manifest.json", archive.read("manifest.json"))
        for name, source in changed.items():
            copy.writestr(f"project/{name}", source)
    with pytest.raises(EntryError, match=r"forged\.pyz: src/arkor/late\.py was changed"):
        load_entry(forged)


def test_no_flipped_bit_reaches_the_code(tmp_path: Path) -> None:
    source = b"VALUE = 1\n"
    content = pack("index.py", {"index.py": source})
    file = tmp_path / "index.pyz"
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        file.write_bytes(damaged)
        try:
            artifact = open_artifact(file)
        except EntryError:
            refused += 1
        else:
            assert artifact.modules == {"index.py": source}
    assert refused > len(source)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"print('no zip')", pack("a.py", {"b.py": b""}), pack("a.py", {"a.py": b""})[:-9]],
)
def test_what_is_no_artifact_is_refused(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "index.pyz").write_bytes(content)
    with pytest.raises(EntryError, match="is no artifact of Arkor, or is damaged"):
        load_entry(file)


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(file := tmp_path / "index.pyz", "w") as archive:
        archive.writestr("manifest.json", '{"format": 99}')
    with pytest.raises(EntryError, match="reads artifacts of format 1"):
        load_entry(file)


@pytest.mark.parametrize(
    ("key", "value", "warned"),
    [
        ("arkor", "99.0.0", "was built by Arkor 99.0.0"),
        ("python", "3.1", "was built by Python 3.1"),
    ],
)
def test_another_release_is_warned_about(
    tmp_path: Path, key: str, value: str, warned: str, caplog: pytest.LogCaptureFixture
) -> None:
    built = tmp_path / "built.pyz"
    built.write_bytes(pack("index.py", {"index.py": b""}))
    with zipfile.ZipFile(built) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert load_entry(built)
    assert not caplog.records

    with zipfile.ZipFile(other := tmp_path / "other.pyz", "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest | {key: value}))
        archive.writestr("project/index.py", b"")
    assert load_entry(other)
    assert warned in caplog.text
