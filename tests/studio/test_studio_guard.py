"""Who is refused: another host, another origin, another user, an old token, a path that climbs."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient
from studio_app import COMPLETED, HERE, KEY, TOKEN, access, browser, write_run

from arkor.errors import ConfigError
from arkor.studio import access as access_module
from arkor.studio import create_app
from arkor.studio.access import Access, session_key

FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:4000",
    "localhost.evil.example:4000",
    "127.0.0.1.evil.example",
    "localhost:4000.evil.example",
    "127.0.0.1:4000@evil.example",
    "evil.example#localhost",
    "0.0.0.0:4000",
    "127.0.0.2:4000",
    "192.168.1.10:4000",
    "[::1]:4000",
    "2130706433:4000",
    "localhost.:4000",
    "xn--localhost:4000",
    "localhost:40000000",
    "localhost:",
    "",
    " localhost:4000",
]
FOREIGN_ORIGINS = [
    "http://evil.example",
    "https://localhost:4000",
    "http://localhost",
    "http://localhost:4001",
    "http://127.0.0.1:4000",
    "http://localhost:4000.evil.example",
    "http://localhost:4000/",
    "null",
    "",
    "file://",
    "chrome-extension://abc",
]
POSTS = ["/api/train", "/api/runs/x/cancel", "/api/runs/x/detach", "/api/runs/x/resume"]
READS = ["/", "/runs", "/static/studio.css", "/static/plotly.js", "/api/runs", "/api/openapi.json"]


@pytest.fixture
def client(home: Path) -> TestClient:
    return browser(home)


@pytest.fixture
def stranger(home: Path) -> TestClient:
    app = create_app(home=home, project_root=home.parent, access=access())
    return TestClient(app, base_url=HERE)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/", "/api/runs"])
def test_another_host_is_refused(client: TestClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    if path.startswith("/api/"):
        assert answer.json() == {"error": "Studio API is loopback-only"}
    else:
        assert answer.headers["content-type"].startswith("text/plain")
    assert TOKEN not in answer.text


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused(client: TestClient, origin: str, method: str) -> None:
    answer = client.request(method, "/api/runs", headers={"Origin": origin})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
@pytest.mark.parametrize("path", ["/api/runs", "/static/studio.css", "/api/train"])
def test_what_a_page_of_another_site_loads_is_refused(
    client: TestClient, site: str, path: str
) -> None:
    del client.headers["Origin"]
    assert client.get(path, headers={"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("path", POSTS)
def test_a_post_that_says_nothing_of_its_origin_is_refused(client: TestClient, path: str) -> None:
    del client.headers["Origin"]
    assert client.post(path, json={}).status_code == 403
    assert client.post(path, json={}, headers={"Sec-Fetch-Site": "none"}).status_code == 403


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_is_no_request(client: TestClient, path: str, kind: str) -> None:
    answer = client.post(path, content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


@pytest.mark.parametrize("path", READS)
def test_without_a_session_not_even_the_page_is_served(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "arkor dev" in answer.text
    assert "<" not in answer.text


@pytest.mark.parametrize("path", POSTS)
def test_without_a_session_nothing_is_done(stranger: TestClient, path: str) -> None:
    assert stranger.post(path, json={}, headers={"Origin": HERE}).status_code == 403


@pytest.mark.parametrize(
    "session",
    [
        "",
        ".",
        "9999999999",
        "9999999999.",
        "9999999999." + "0" * 64,
        "99999999999999999999999999.x",
        "١٢٣.x",
        "a.b.c",
        TOKEN,
        Access(TOKEN, b"another key of another user!!!!!").session(),
    ],
)
def test_a_forged_session_is_refused(stranger: TestClient, session: str) -> None:
    cookie = f"arkor-studio-4000={session}".encode()
    assert stranger.get("/", headers=[(b"Cookie", cookie)]).status_code == 403


def test_a_session_ends(stranger: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "SESSION", -1)
    session = access().session()
    headers = {"Cookie": f"arkor-studio-4000={session}"}
    assert stranger.get("/", headers=headers).status_code == 403


def test_a_session_is_renewed_by_use_and_outlives_a_restart(
    stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = {"Cookie": f"arkor-studio-4000={Access('x' * 16, KEY).session()}"}
    answer = stranger.get("/api/runs", headers=fresh)
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)

    monkeypatch.setattr(access_module, "SESSION", 3600)
    old = {"Cookie": f"arkor-studio-4000={access().session()}"}
    monkeypatch.undo()
    answer = stranger.get("/api/runs", headers=old)
    assert answer.status_code == 200
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]


@pytest.mark.parametrize("ticket", ["", "x", TOKEN, "a&token=b"])
def test_a_wrong_ticket_is_refused(stranger: TestClient, ticket: str) -> None:
    answer = stranger.get(f"/?token={ticket}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_ticket_works_once_and_the_next_one_is_told(home: Path) -> None:
    handed_out, told = access(), list[str]()
    handed_out.on_used = told.append
    app = create_app(home=home, project_root=home.parent, access=handed_out)
    first, second = (TestClient(app, base_url=HERE) for _ in range(2))
    ticket = handed_out.ticket

    assert first.head(f"/?token={ticket}").status_code == 403, "a preview does not spend it"
    answer = first.get(f"/?token={ticket}")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Strict" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    assert second.get(f"/?token={ticket}").status_code == 403
    assert told == [handed_out.ticket] != [ticket]
    assert second.get(f"/?token={told[0]}").status_code == 200
    assert first.get("/").status_code == second.get("/").status_code == 200


def test_two_studios_do_not_sign_each_other_out(client: TestClient) -> None:
    assert [cookie.name for cookie in client.cookies.jar] == ["arkor-studio-4000"]


def test_a_program_shows_the_token_of_the_launch(stranger: TestClient) -> None:
    right = {"X-Arkor-Studio-Token": TOKEN}
    assert stranger.get("/api/runs", headers=right).status_code == 200
    posted = stranger.post("/api/runs/x/cancel", json={}, headers=right)
    assert posted.status_code == 404, "there is no such run, but the program may ask"
    for wrong in ("", "x", TOKEN + "x", TOKEN.upper()):
        answer = stranger.get("/api/runs", headers={"X-Arkor-Studio-Token": wrong})
        assert answer.status_code == 403
        assert answer.json() == {"error": "Missing or invalid studio token"}
    foreign = right | {"Origin": "http://evil.example"}
    assert stranger.get("/api/runs", headers=foreign).status_code == 403


def test_a_link_from_elsewhere_opens_a_page_and_no_more(client: TestClient) -> None:
    del client.headers["Origin"]
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/api/runs", headers=link).status_code == 403
    assert client.get("/", headers=link | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert client.post("/api/train", json={}, headers=link).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_method_does_anything(client: TestClient, method: str) -> None:
    assert client.request(method, "/api/runs").status_code == 405


def test_a_preflight_of_another_site_is_refused(client: TestClient) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert client.options("/api/train", headers=asked).status_code == 403


@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/studio.css", "/nothing", "/api/x"])
def test_every_answer_says_what_may_run(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "no-store" in headers["cache-control"] or path.startswith("/static")


def test_a_short_token_and_a_broken_key_are_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="16 characters"):
        Access("short", KEY)
    key = session_key(home)
    assert session_key(home) == key
    file = home / "studio.key"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("half")
    with pytest.raises(ConfigError, match=r"studio\.key.*remove it"):
        session_key(home)


MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    '"><iframe src=javascript:alert(1)>',
    "{{ 1234567*3 }}{% raw %}",
    "\u202egnp.exe",
]


@pytest.mark.parametrize("name", MARKUP)
def test_a_name_is_text_whatever_it_holds(home: Path, name: str) -> None:
    run_id = write_run(home, name, COMPLETED, status="completed")
    client = browser(home)
    assert client.get(f"/api/runs/{run_id}").json()["name"] == name
    for path in ("/", "/runs", f"/runs/{run_id}", f"/nothing/{name}"):
        page = client.get(path).text
        assert name not in page or not set("<>\"'\u202e") & set(name)
        assert "3703701" not in page


@pytest.fixture
def listening(home: Path) -> Iterator[int]:
    """The port of a real server: paths and hosts come as they are sent."""
    app = create_app(home=home, project_root=home.parent, access=access())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/..\\app.py",
        "/static/%00",
        "/static/studio.css%00.js",
        "/static/../../../../../../etc/passwd",
        "//etc/passwd",
        "/static/",
        "/api/runs/..%2f..%2fcredentials.json",
        "/api/launches/..%2f..%2fstudio-token",
        "/api/launches/%2e%2e",
    ],
)
def test_no_path_leads_out(listening: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", listening, timeout=10)
    connection.request("GET", path, headers={"X-Arkor-Studio-Token": TOKEN})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status in (400, 404), body
    assert "import " not in body
    assert "root:" not in body


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_there_is_one_host(listening: int, hosts: list[str]) -> None:
    lines = [f"Host: {host}" for host in hosts]
    request = "\r\n".join(
        ["GET /api/runs HTTP/1.1", *lines, f"X-Arkor-Studio-Token: {TOKEN}", "Connection: close"]
    )
    with socket.create_connection(("127.0.0.1", listening), timeout=10) as connection:
        connection.sendall(f"{request}\r\n\r\n".encode())
        status = connection.makefile("rb").readline().split()[1]
    assert status in (b"400", b"403")


def test_a_failure_is_one_sentence(home: Path) -> None:
    (home.parent / "store").mkdir(mode=0o700, exist_ok=True)
    (home / "arkor.db").write_bytes(b"no database at all, and of some length" * 200)
    client = browser(home)
    answer = client.get("/api/runs")
    assert answer.status_code == 500
    assert set(json.loads(answer.text)) == {"error"}
    assert "Traceback" not in answer.text
    assert client.get("/nothing").status_code == 404
