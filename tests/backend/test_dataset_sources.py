"""Rows from elsewhere: a blob behind TLS, and a hub on the loopback that serves real files."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest
import trustme

from arkor.backend.dataset import load_rows
from arkor.backend.options import Options
from arkor.errors import ConfigError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "arkor/backend/data"
COMMIT = "c0ffee" * 6 + "beef"
TOKEN = "blob-token-1234"
ROWS = b'{"text": "a"}\n{"text": "b"}\n'


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> Iterator[int]:
    """A server on the loopback; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Blobs(Quiet):
    fetched: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.fetched.append((self.path, self.headers.get("Authorization")))
        match urlsplit(self.path).path:
            case "/rows":
                self.reply(200, ROWS)
            case "/moved":
                self.reply(302, Location="/rows")
            case "/downgraded":
                self.reply(302, Location="http://127.0.0.1:1/rows")
            case _:
                self.reply(403, b"no")


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A TLS server whose authority the environment trusts; its address."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    Blobs.fetched.clear()
    with serving(Blobs, context) as port:
        yield f"https://localhost:{port}"


def options(**source: str) -> Options:
    return Options.read({"model": "arkor/tiny", "datasetSource": source})


def load(folder: Path, url: str, **source: str) -> list[dict[str, Any]]:
    asked = options(type="blob", url=url, **source)
    return load_rows(asked, home=folder, jobdir=folder).train


@pytest.mark.parametrize("path", ["/rows", "/moved"])
def test_a_blob_is_fetched_once_with_its_token(blobs: str, path: str, tmp_path: Path) -> None:
    rows = load(tmp_path, blobs + path, token=TOKEN)
    assert rows == [{"text": "a"}, {"text": "b"}]
    assert Blobs.fetched[0] == (path, f"Bearer {TOKEN}")
    fetched = len(Blobs.fetched)
    assert load(tmp_path, blobs + path, token=TOKEN) == rows
    assert len(Blobs.fetched) == fetched


@pytest.mark.parametrize(
    ("path", "said"),
    [("/secret?key=hidden", "answered 403"), ("/downgraded", "must not redirect")],
)
def test_a_blob_that_cannot_be_had_is_named_without_its_secrets(
    blobs: str, path: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        load(tmp_path, blobs + path, token=TOKEN)
    assert TOKEN not in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert not (tmp_path / "dataset.jsonl").exists()


def test_an_unknown_authority_is_not_trusted(
    blobs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ConfigError, match="could not be fetched"):
        load(tmp_path, f"{blobs}/rows")


class Hub(Quiet):
    """What the hub's client asks for: a repository's state, its list of files, the files."""

    files: ClassVar[dict[str, dict[str, Path]]] = {
        "datasets/me/rows": {
            "train.jsonl": DATA / "triage/train.jsonl",
            "test.jsonl": DATA / "triage/eval.jsonl",
        },
        "models/me/model": {p.name: p for p in (DATA / "base-tiny").iterdir()},
    }

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        for repo, files in self.files.items():
            for place in (repo, repo.removeprefix("models/")):
                head, _, name = path.partition(f"{place}/resolve/")
                if not head and name.partition("/")[2] in files:
                    return self._file(files[name.partition("/")[2]])
            if path.startswith(f"api/{repo}/tree/"):
                return self._json([self._entry(*item) for item in files.items()])
            if path == f"api/{repo}" or path.startswith(f"api/{repo}/revision/"):
                return self._json(self._state(repo, files))
            if path.startswith(f"api/{repo}/paths-info/"):
                asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
                return self._json(
                    [self._entry(name, of) for name, of in files.items() if name in asked]
                )
        return self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)

    do_HEAD = do_POST = do_GET

    def _json(self, value: object) -> None:
        self.reply(200, json.dumps(value).encode(), Content_Type="application/json")

    def _file(self, path: Path) -> None:
        body = path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        self.reply(200, body, ETag=f'"{digest}"', X_Repo_Commit=COMMIT, Accept_Ranges="none")

    def _state(self, repo: str, files: dict[str, Path]) -> dict[str, Any]:
        kept = [{"rfilename": name} for name in files]
        name = repo.partition("/")[2]
        return {"id": name, "sha": COMMIT, "siblings": kept, "private": False, "tags": []}

    def _entry(self, name: str, path: Path) -> dict[str, Any]:
        oid = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
        return {"type": "file", "path": name, "size": path.stat().st_size, "oid": oid}


def train(folder: Path, port: int, **config: Any) -> list[dict[str, Any]]:
    """The events of a worker whose hub is on `port`."""
    folder.mkdir()
    dry = {"dryRun": True, "learningRate": 0.01, "loggingSteps": 5, **config}
    job = {"id": "j", "name": "hub", "home": str(folder), "config": dry}
    (folder / "job.json").write_text(json.dumps(job))
    environ = {
        "PATH": os.defpath,
        "HOME": str(folder.parent),
        "HF_HOME": str(folder.parent / "hub"),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "arkor.backend.train", str(folder)],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    (folder / "trainer.log").write_text(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.training
def test_model_and_rows_come_from_a_hub(tmp_path: Path) -> None:
    source = {"type": "huggingface", "name": "me/rows"}
    with serving(Hub, None) as port:
        events = train(
            tmp_path / "job",
            port,
            model="me/model",
            datasetSource=source,
            datasetSplit={"eval": "test"},
        )
    assert events[-1]["type"] == "training.completed", events
    started = events[0]["metadata"]
    assert (started["samples"], started["evalSamples"]) == (50, 50)
    assert events[-1]["metrics"]["evalLoss"] is not None


@pytest.mark.training
@pytest.mark.parametrize(
    ("source", "model", "said"),
    [
        ({"name": "me/none"}, "arkor/tiny", "'me/none' (subset None, split 'train')"),
        ({"name": "me/rows", "split": "dev"}, "arkor/tiny", "split 'dev'"),
        ({"name": "me/rows"}, "me/none", "'me/none' cannot be loaded"),
    ],
)
def test_what_a_hub_does_not_have_is_named(
    source: dict[str, str], model: str, said: str, tmp_path: Path
) -> None:
    with serving(Hub, None) as port:
        asked = {"type": "huggingface", **source}
        events = train(tmp_path / "job", port, model=model, datasetSource=asked)
    assert [event["type"] for event in events] == ["training.failed"]
    assert said in events[0]["error"]
