"""`arkor verify` and `arkor anchor`: a tampered log is named, an anchor kept and signed."""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from arkor.core.record import Entry
from arkor.store.owner import current_owner
from arkor.store.runs import NewRun
from arkor.store.writer import open_writer

Arkor = Callable[..., CompletedProcess[str]]


@pytest.fixture
def ids(home: Path) -> list[str]:
    """Two runs with ten records each, the older one first."""
    home.mkdir(mode=0o700)
    writer, made = open_writer(home), []
    for name in ("one", "two"):
        row = NewRun(name=name, project_root="/p", org_slug="o", project_slug="p", fingerprint="f")
        entries = [Entry("stream", "training.log", f'{{"step":{n}}}', str(n)) for n in range(10)]
        with writer.transaction(durable=False) as tx:
            made.append(tx.create_run(row, entries, current_owner()).run_id)
    writer.close()
    return made


@pytest.fixture
def key(tmp_path: Path, need: Any) -> Path:
    """An SSH key without a passphrase, and its public half beside it."""
    return new_key(tmp_path / "key", need)


def new_key(path: Path, need: Any, passphrase: str = "") -> Path:
    need(shutil.which("ssh-keygen"), "ssh-keygen(1): apt-get install openssh-client")
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def tamper(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "arkor.db")) as connection:
        assert connection.execute(statement).rowcount
        connection.commit()


def reports(done: CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_whole_log_is_a_yes(here: Arkor, ids: list[str]) -> None:
    done = here("verify", "@last")
    assert done.returncode == 0, done.stderr
    assert ids[1] in done.stdout
    assert "whole" in done.stdout
    one = reports(here("verify", ids[0], "--json"))
    assert one == {
        "ok": True,
        "runId": ids[0],
        "records": 10,
        "head": one["head"],
        "firstBadSeq": None,
        "problem": None,
        "fault": None,
        "anchoredSeq": None,
        "prunedAt": None,
    }
    every = reports(here("verify", "--all", "--json"))
    assert [each["runId"] for each in every] == sorted(ids)


def test_a_tampered_log_is_a_no_that_says_where(here: Arkor, home: Path, ids: list[str]) -> None:
    tamper(home, "UPDATE records SET data = '{}' WHERE run = 1 AND seq = 4")
    done = here("verify", ids[0])
    assert done.returncode == 1
    assert "record 4 was changed" in done.stdout
    assert f"arkor export {ids[0]}" in done.stderr
    found = here("verify", "--all", "--json")
    assert found.returncode == 1
    assert {each["runId"]: each["firstBadSeq"] for each in reports(found)} == {
        ids[0]: 4,
        ids[1]: None,
    }
    table = here("verify", "--all")
    assert (table.returncode, "record 4 was changed" in table.stdout) == (1, True)
    refused = here("anchor", ids[0])
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "an anchor would vouch for it" in refused.stderr


def test_a_cut_log_and_a_run_that_is_gone_show_against_anchors(
    here: Arkor, home: Path, folder: Path, ids: list[str]
) -> None:
    lines = [here("anchor", each).stdout for each in ids]
    assert [line.split()[:4] for line in lines] == [
        ["arkor-anchor", "v1", each, "10"] for each in ids
    ]
    (folder / "anchors.txt").write_text("# kept\n" + "".join(lines))
    kept = here("verify", "--head", "@anchors.txt", "--json")
    assert [each["anchoredSeq"] for each in reports(kept)] == [10, 10]
    tamper(home, "DELETE FROM records WHERE run = 1 AND seq > 7")
    assert here("verify", "--all").returncode == 0
    for head in ("@anchors.txt", lines[0].strip(), lines[0].split()[4]):
        cut = here("verify", ids[0], "--head", head, "--json")
        assert (cut.returncode, reports(cut)["firstBadSeq"]) == (1, 8)
        assert reports(cut)["fault"] == "cut"
    for table, column in (("records", "run"), ("leases", "run"), ("runs", "id")):
        tamper(home, f"DELETE FROM {table} WHERE {column} = 2")
    gone = here("verify", "--all", "--head", "@anchors.txt")
    assert gone.returncode == 1
    assert "the journal has no such run" in gone.stdout


def test_usage(here: Arkor, folder: Path, ids: list[str]) -> None:
    (folder / "anchors.txt").write_text(here("anchor", ids[0]).stdout)
    bad = [
        ("verify",),
        ("verify", "--all", ids[0]),
        ("verify", "--head", "ab" * 32),
        ("verify", ids[0], "--head", "abc"),
        ("verify", ids[1], "--head", "@anchors.txt"),
        ("verify", ids[0], "--head", "ab" * 32, "--signers", "key.pub"),
        ("verify", "--head", "@anchors.txt", "--signature", "anchors.txt.sig"),
        ("verify", "--head", "@anchors.txt", "--signers", "key.pub"),
        ("anchor", ids[0], "--sign"),
        ("anchor", ids[0], "-o", "anchors.txt"),
        ("anchor", ids[0], "-o", "new.txt", "--key", "none"),
    ]
    for arguments in bad:
        assert here(*arguments).returncode == 2, arguments
    assert here("verify", "--head", "@missing.txt").returncode == 4
    assert here("verify", "02").returncode == 1


def test_an_anchor_is_signed_and_the_signature_checked(
    here: Arkor, folder: Path, ids: list[str], key: Path, tmp_path: Path, need: Any
) -> None:
    done = here("--no-input", "anchor", ids[0], "-o", "a.txt", "--key", str(key))
    assert done.returncode == 0, done.stderr
    assert (folder / "a.txt").read_text() == done.stdout
    assert (folder / "a.txt.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    public = key.with_name("key.pub")
    signers = tmp_path / "signers"
    signers.write_text(f'me@example.org namespaces="arkor" {public.read_text()}')
    for allowed in (public, signers):
        checked = here("verify", "--head", "@a.txt", "--signers", str(allowed), "--json")
        assert checked.returncode == 0, checked.stderr
        assert reports(checked)[0]["anchoredSeq"] == 10
    other = new_key(tmp_path / "other", need).with_name("other.pub")
    assert here("verify", "--head", "@a.txt", "--signers", str(other)).returncode == 1
    (folder / "a.txt").write_text(done.stdout.replace(" 10 ", " 9 "))
    forged = here("verify", "--head", "@a.txt", "--signers", str(public))
    assert (forged.returncode, forged.stdout) == (1, "")
    assert "no signature of a.txt" in forged.stderr


def test_a_signature_for_something_else_is_none(
    here: Arkor, folder: Path, ids: list[str], key: Path
) -> None:
    here("anchor", ids[0], "-o", "a.txt", "--no-sign")
    assert not (folder / "a.txt.sig").exists()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", "a.txt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    public = str(key.with_name("key.pub"))
    assert here("verify", "--head", "@a.txt", "--signers", public).returncode == 1


def test_without_a_usable_key_there_is_the_line_alone(
    arkor: Arkor, folder: Path, tmp_path: Path, ids: list[str], need: Any
) -> None:
    bare = arkor("anchor", ids[0], "-o", "a.txt")
    assert bare.returncode == 0, bare.stderr
    assert "not signed: there is no SSH key" in bare.stderr
    assert arkor("anchor", ids[0], "-o", "b.txt", "--sign").returncode == 2
    locked = new_key(tmp_path / "locked", need, passphrase="not told")
    asked = arkor("anchor", ids[0], "-o", "c.txt", "--key", str(locked))
    assert asked.returncode == 4
    assert "ssh-add" in asked.stderr
    assert (folder / "c.txt").read_text() == bare.stdout
    assert not (folder / "c.txt.sig").exists()


def test_the_usual_keys_are_found(
    arkor: Arkor, folder: Path, tmp_path: Path, ids: list[str], key: Path
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(f"[user]\n\tsigningkey = {key}\n")
    by_git = arkor("anchor", ids[0], "-o", "a.txt", GIT_CONFIG_GLOBAL=str(config))
    assert (folder / "a.txt.sig").exists(), by_git.stderr
    config.write_text("[user]\n\tsigningkey = 0123ABCD\n")
    (tmp_path / ".ssh").mkdir(mode=0o700)
    shutil.copy(key, tmp_path / ".ssh" / "id_ed25519")
    shutil.copy(key.with_name("key.pub"), tmp_path / ".ssh" / "id_ed25519.pub")
    usual = arkor("anchor", ids[0], "-o", "b.txt", GIT_CONFIG_GLOBAL=str(config))
    assert (folder / "b.txt.sig").exists(), usual.stderr
    without = arkor("anchor", ids[0], "-o", "c.txt", "--sign", "--key", str(key), PATH="/nowhere")
    assert without.returncode == 4
    assert "ssh-keygen is not installed" in without.stderr
