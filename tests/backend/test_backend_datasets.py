"""Uploaded files over the wire."""

import hashlib
import os
import stat

import pytest
from serving import until

CONTENT = b'{"messages": []}\n' * 1000


def url_of(content: bytes) -> str:
    return f"/v1/datasets/{hashlib.sha256(content).hexdigest()}"


def test_a_file_is_taken_once(server) -> None:
    url = url_of(CONTENT)
    assert server.http.head(url).status_code == 404
    assert server.http.get(url).status_code == 404
    assert server.http.put(url, content=CONTENT).status_code == 201
    assert server.http.put(url, content=CONTENT).status_code == 200
    assert server.http.head(url).status_code == 200
    assert server.http.get(url).content == CONTENT
    digest = url.rpartition("/")[2]
    path = server.home / "backend" / "datasets" / f"{digest}.jsonl"
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_large_file_is_streamed(server) -> None:
    content = os.urandom(24 << 20)
    pieces = (content[at : at + 65536] for at in range(0, len(content), 65536))
    assert server.http.put(url_of(content), content=pieces).status_code == 201
    assert hashlib.sha256(server.http.get(url_of(content)).content).hexdigest() in url_of(content)


def test_another_file_than_was_named_is_refused_and_not_kept(server) -> None:
    answer = server.http.put(url_of(b"this"), content=b"that")
    assert answer.status_code == 400
    assert hashlib.sha256(b"that").hexdigest() in answer.json()["error"]
    assert server.http.head(url_of(b"this")).status_code == 404
    assert not list((server.home / "backend" / "datasets").glob(".*"))


def test_an_upload_that_breaks_off_leaves_nothing(server) -> None:
    def half() -> object:
        yield b"x" * 100_000
        raise RuntimeError("the client fails")

    with pytest.raises(RuntimeError, match="the client fails"):
        server.http.put(url_of(b"half"), content=half())
    folder = server.home / "backend" / "datasets"
    until(lambda: not list(folder.glob(".*")), "the half file is still there")
    assert server.http.head(url_of(b"half")).status_code == 404


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 63, "0" * 65, "..%2F..%2Fidentity.json"])
def test_a_name_that_is_no_digest_is_refused(server, name) -> None:
    assert server.http.put(f"/v1/datasets/{name}", content=b"").status_code in (400, 404)
    assert server.http.get(f"/v1/datasets/{name}").status_code in (400, 404)
