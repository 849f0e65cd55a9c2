"""Ordinary calls: what is asked, what is tried again, and what every failure becomes."""

import asyncio
import hashlib
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from arkor.client.addresses import path_of
from arkor.client.answers import strike
from arkor.client.api import CloudApiClient
from arkor.client.notices import Deprecation
from arkor.client.transport import NeverSentError, Request, Transport
from arkor.core.wire import Scope
from arkor.errors import (
    BackendUnreachableError,
    CloudApiError,
    ConfigError,
    CredentialsError,
    ProtocolError,
)
from arkor.testing import (
    Answer,
    Cut,
    Received,
    ScriptedBackend,
    ScriptedServer,
    answer_json,
    lost,
)
from arkor.testing.script import Step

T = TypeVar("T")
SCOPE = Scope("org", "project")
TOKEN = "secret-token-0123456789"
JOB = {
    "id": "job-1",
    "orgId": "org-1",
    "projectId": "project-1",
    "name": "n",
    "status": "queued",
    "config": {"model": "m"},
    "createdAt": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Bearer:
    token: str = field(default=TOKEN, repr=False)


def call(
    server: ScriptedServer,
    ask: Callable[[CloudApiClient], Awaitable[T]],
    token: str = TOKEN,
    **options: Any,
) -> T:
    async def run() -> T:
        async with CloudApiClient(server.url, Bearer(token), **options) as api:
            return await ask(api)

    return asyncio.run(run())


def get_job(api: CloudApiClient) -> Awaitable[object]:
    return api.get_job(SCOPE, "job-1")


def create(key: str | None = None) -> Callable[[CloudApiClient], Awaitable[object]]:
    return lambda api: api.create_job(SCOPE, "n", {"model": "m"}, idempotency_key=key)


def test_every_call_against_a_backend() -> None:
    async def run(api: CloudApiClient) -> None:
        assert (await api.me())["orgs"][0]["slug"] == "anon-org"
        made = await api.create_project("anon-org", "My Project", "my-project")
        assert await api.list_projects("anon-org") == [made]
        with pytest.raises(CloudApiError) as taken:
            await api.create_project("anon-org", "My Project", "my-project")
        assert taken.value.status == 409
        job = await api.create_job(SCOPE, "n", {"model": "m"}, idempotency_key="k")
        again = await api.create_job(SCOPE, "n", {"model": "m"}, idempotency_key="k")
        assert again == job
        assert await api.list_jobs(SCOPE) == [job]
        await api.cancel_job(SCOPE, job.id)
        assert (await api.get_job(SCOPE, job.id)).status == "cancelled"

    with ScriptedBackend(token=TOKEN) as backend:
        call(backend, run)


def test_what_is_sent_is_what_the_protocol_says() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs", answer_json({"job": JOB}, 201))
        server.on("GET", "/v1/jobs/{id}", answer_json({"job": JOB, "events": []}))
        call(server, lambda api: api.create_job(Scope("a b", "c&d"), "n", {"dryRun": False}))
        call(server, create("the-key"))
        call(server, lambda api: api.get_job(SCOPE, "a/b c"))
        plain, keyed, got = server.requests
    assert plain.target == "/v1/jobs?orgSlug=a%20b&projectSlug=c%26d"
    assert plain.json() == {"name": "n", "config": {"dryRun": False}}
    assert plain.headers["content-type"] == "application/json"
    assert plain.headers["authorization"] == f"Bearer {TOKEN}"
    assert "idempotency-key" not in plain.headers
    assert keyed.headers["idempotency-key"] == "the-key"
    assert got.path == "/v1/jobs/a%2Fb%20c"
    assert got.body == b""


def test_a_segment_is_never_more_than_a_segment() -> None:
    assert path_of("v1", "..", "a/b", "?", ".", "ü") == "/v1/%2E%2E/a%2Fb/%3F/%2E/%C3%BC"


def test_slashes_after_the_address_do_not_count() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/base/v1/me", answer_json({"user": {}, "orgs": []}))
        server.url += "/base///"
        assert call(server, lambda api: api.me()) == {"user": {}, "orgs": []}


@pytest.mark.parametrize(
    "url", ["", "api.arkor.ai", "ftp://host", "http://", "http://host:port", "http://me:pw@host"]
)
def test_an_address_that_is_none_fails_at_the_first_request(url: str) -> None:
    async def run() -> None:
        async with CloudApiClient(url, Bearer()) as api:
            with pytest.raises(ConfigError, match="ARKOR_CLOUD_API_URL") as caught:
                await api.me()
            assert "pw" not in str(caught.value)

    asyncio.run(run())


@pytest.mark.parametrize("failure", [Answer(503), Answer(429), Answer(before=(Cut(),))])
def test_a_get_is_tried_three_times(failure: Answer) -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", failure, failure, answer_json({"job": JOB}))
        call(server, get_job)
        assert len(server.requests) == 3


def test_the_third_failure_is_the_callers() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", Answer(500, {}, b'{"error":"down"}'))
        with pytest.raises(CloudApiError, match=r"^down$"):
            call(server, get_job)
        assert len(server.requests) == 3


def test_a_refusal_is_not_tried_again() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", Answer(404, {}, b'{"error":"not_found"}'))
        with pytest.raises(CloudApiError) as caught:
            call(server, get_job)
        assert (caught.value.status, caught.value.code) == (404, "not_found")
        assert len(server.requests) == 1


def test_a_post_is_tried_again_with_a_key_only() -> None:
    with ScriptedBackend() as backend:
        backend.on("POST", "/v1/jobs", lost(backend.create_job), Answer(503), backend.create_job)
        call(backend, create("k"))
        assert list(backend.jobs) == ["job-1"]
        assert len({request.headers["idempotency-key"] for request in backend.requests}) == 1
        backend.on("POST", "/v1/jobs", Answer(503), backend.create_job)
        with pytest.raises(CloudApiError):
            call(backend, create())
        assert len(backend.requests) == 4


def test_retry_after_is_obeyed_if_short_and_handed_on_if_long() -> None:
    with ScriptedServer() as server:
        short = Answer(429, {"retry-after": "1"})
        server.on("GET", "/v1/jobs/{id}", short, answer_json({"job": JOB}))
        began = time.monotonic()
        call(server, get_job)
        assert time.monotonic() - began >= 1.0
        server.on("GET", "/v1/jobs/{id}", Answer(429, {"retry-after": "600"}))
        with pytest.raises(CloudApiError) as caught:
            call(server, get_job)
        assert caught.value.retry_after == 600.0


def test_nothing_was_submitted_is_said_only_if_true() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs", Answer(before=(Cut(),)))
        with pytest.raises(BackendUnreachableError, match="not known whether") as caught:
            call(server, create())
        assert not isinstance(caught.value, NeverSentError)
        assert isinstance(caught.value.__cause__, httpx.TransportError)
    with pytest.raises(
        NeverSentError, match=r"127\.0\.0\.1:\d+ cannot be.*running\? Nothing was sent"
    ):
        call(server, create("k"))
    with pytest.raises(NeverSentError) as unreachable:
        call(server, get_job)
    assert "submitted" not in str(unreachable.value)


def test_a_request_that_may_have_had_effect_stays_in_doubt_though_later_tries_never_arrive() -> (
    None
):
    tries = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        raise (httpx.ReadError if tries == 1 else httpx.ConnectError)("gone", request=request)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
            api = CloudApiClient("http://backend", Bearer(), http=http)
            with pytest.raises(BackendUnreachableError) as caught:
                await create("k")(api)
            assert not isinstance(caught.value, NeverSentError)
            await api.aclose()
            assert not http.is_closed

    asyncio.run(run())
    assert tries == 3


@pytest.mark.parametrize(
    ("body", "kind", "message", "code"),
    [
        (b'{"error":"slug_taken","more":1}', "application/json", "slug_taken", "slug_taken"),
        (b'{"error":""}', "application/json", '{"error":""}', None),
        (b'{"error":7}', "application/json", '{"error":7}', None),
        (b"plain\ntext", "text/plain", "plain text", None),
        (b"<html>sign in</html>", "text/html; charset=utf-8", "cloud-api 400", None),
        (b"", "text/plain", "cloud-api 400", None),
        (b"\xff\xfe", "text/plain", "\ufffd\ufffd", None),
        (b"x" * 100_000, "text/plain", "x" * 499 + "…", None),
    ],
)
def test_an_errors_message_is_what_the_body_says(
    body: bytes, kind: str, message: str, code: str | None
) -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", Answer(400, {"content-type": kind}, body))
        with pytest.raises(CloudApiError) as caught:
            call(server, get_job)
    assert (caught.value.message, caught.value.code) == (message, code)


def test_426_says_how_to_upgrade() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", Answer(426, {}, b"<html>"))
        with pytest.raises(CloudApiError, match=r"no longer supported.*Upgrade with"):
            call(server, get_job)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(200, {"content-type": "text/html"}, b"<html>Sign in</html>"), "text/html.*Sign in"),
        (Answer(200, {}, b""), "not JSON"),
        (Answer(200, {}, b'{"job":'), "not JSON"),
        (Answer(200, {}, b"[]"), "not a JSON object"),
        (answer_json({}), "job must be"),
        (answer_json({"job": {**JOB, "id": 7}}), "`id`"),
    ],
)
def test_an_answer_that_is_not_the_protocol(answer: Answer, message: str) -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", answer)
        with pytest.raises(ProtocolError, match=message):
            call(server, get_job)


def test_a_status_nobody_knows_is_a_status() -> None:
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs", answer_json({"jobs": [{**JOB, "status": "paused"}]}))
        [job] = call(server, lambda api: api.list_jobs(SCOPE))
        assert job.status == "paused"
        server.on("GET", "/v1/jobs", answer_json({"jobs": None}))
        with pytest.raises(ProtocolError, match="no list `jobs`"):
            call(server, lambda api: api.list_jobs(SCOPE))
        server.on("GET", "/v1/projects", answer_json({"projects": [{"id": "p"}]}))
        with pytest.raises(ProtocolError, match="`slug`"):
            call(server, lambda api: api.list_projects("org"))


def echo(request: Received) -> Answer:
    return Answer(
        500 if "fail" in request.path else 200, {}, request.headers["authorization"].encode()
    )


@pytest.mark.parametrize("job_id", ["fail", "fine"])
def test_a_token_that_is_echoed_stands_in_no_error(job_id: str) -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs/{id}/cancel", echo)
        server.on("POST", "/v1/projects", echo)
        with pytest.raises((CloudApiError, ProtocolError)) as caught:
            if job_id == "fail":
                call(server, lambda api: api.cancel_job(SCOPE, job_id))
            else:
                call(server, lambda api: api.create_project("o", "n", "s"))
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert "[redacted]" in str(caught.value)


@pytest.mark.parametrize("secret", ["hf/tökén 1", "tiny", 'quo"ted'])
@pytest.mark.parametrize("spell", [json.dumps, lambda each: json.dumps(each, ensure_ascii=False)])
def test_every_known_secret_stands_in_no_error(secret: str, spell: Callable[[str], str]) -> None:
    # What FastAPI answers by default: the input, as it came.
    echo = b'{"detail":[{"loc":["body"],"input":{"token":%s}}]}' % spell(secret).encode()
    explained = {"error": "invalid", "message": f"datasetSource.token is {secret}"}
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs", Answer(422, {}, echo), answer_json(explained, 422))
        for _ in range(2):
            with pytest.raises(CloudApiError) as caught:
                refuse(server, "POST", "/v1/jobs", secret)
            assert "[redacted]" in str(caught.value)
            assert secret not in str(caught.value)
            assert json.dumps(secret)[1:-1] not in str(caught.value)
    assert caught.value.code == "invalid"


def refuse(server: ScriptedServer, method: str, path: str, secret: str) -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as http:
            transport = Transport(server.url, Bearer(), http=http, secrets=lambda: [secret])
            await transport.send(Request(method, path))

    asyncio.run(run())


def test_a_secret_that_begins_another_leaves_no_rest_of_it() -> None:
    assert strike("x abcdef abc a%2Fb", ["abc", "abcdef", "", "a/b"]) == (
        "x [redacted] [redacted] [redacted]"
    )


def test_a_body_that_breaks_off_may_do_so_in_a_secret() -> None:
    body: list[Step] = [b'{"input":"' + TOKEN[:12].encode(), Cut()]
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs", Answer(400, {}, body))
        with pytest.raises(CloudApiError, match="the body broke off") as caught:
            call(server, create())
    assert caught.value.status == 400
    assert TOKEN[:12] not in str(caught.value)


@pytest.mark.parametrize("token", ["a\nb-secret", "sécret-token-12", "tab\there-secret"])
def test_a_token_that_no_header_carries_is_named_by_no_error(token: str) -> None:
    with ScriptedServer() as server:
        with pytest.raises(CredentialsError) as caught:
            call(server, get_job, token)
        shown = "".join(traceback.format_exception(caught.value))
        assert token not in shown
        assert repr(token)[1:-1] not in shown
        assert server.requests == []


def test_no_repr_shows_a_token() -> None:
    async def run() -> str:
        async with CloudApiClient("http://user:pw@host:1/x", Bearer()) as api:
            return repr(api) + repr(api.transport) + repr(vars(api))

    shown = asyncio.run(run())
    assert TOKEN not in shown
    assert "pw" not in shown


def test_a_redirect_keeps_the_token_at_home() -> None:
    with ScriptedServer() as server, ScriptedServer() as other:
        other.on("GET", "/v1/jobs/{id}", answer_json({"job": JOB}))
        there = Answer(307, {"location": f"{other.url}/v1/jobs/1"})
        here = Answer(308, {"location": "/v1/jobs/moved?x=1"})
        server.on("GET", "/v1/jobs/{id}", there)
        with pytest.raises(CloudApiError, match="redirect that is not followed"):
            call(server, get_job)
        assert other.requests == []
        server.on("GET", "/v1/jobs/job-1", here)
        server.on("GET", "/v1/jobs/moved", answer_json({"job": JOB}))
        call(server, get_job)
        assert server.requests[-1].target == "/v1/jobs/moved?x=1"


def test_a_post_is_redirected_only_as_a_post() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/new", answer_json({"job": JOB}, 201))
        server.on("POST", "/v1/jobs", Answer(308, {"location": "/new"}))
        call(server, create())
        assert server.requests[-1].json() == {"name": "n", "config": {"model": "m"}}
        server.on("POST", "/v1/jobs", Answer(302, {"location": "/new"}))
        with pytest.raises(CloudApiError) as caught:
            call(server, create())
        assert caught.value.status == 302


def test_a_token_is_refreshed_once() -> None:
    refreshed: list[str] = []

    async def refresh() -> Bearer:
        refreshed.append("once")
        return Bearer("fresh-token")

    with ScriptedBackend(token="fresh-token") as backend:
        assert call(backend, lambda api: api.me(), refresh=refresh)
        assert refreshed == ["once"]
    with ScriptedBackend(token="another-one") as backend:
        with pytest.raises(CloudApiError) as caught:
            call(backend, lambda api: api.me(), refresh=refresh)
        assert caught.value.status == 401
        assert len(backend.requests) == 2


def test_a_deprecation_is_told_whether_the_call_succeeds_or_not() -> None:
    headers = {"deprecation": "true", "warning": '299 - "soon"', "sunset": "later"}
    told: list[Deprecation] = []
    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", Answer(404, headers))
        server.on("GET", "/v1/me", Answer(200, headers, b"{}"))
        server.on("GET", "/v1/jobs/{id}/events/stream", Answer(410, headers))
        call(server, lambda api: api.me(), on_deprecation=told.append)
        with pytest.raises(CloudApiError):
            call(server, get_job, on_deprecation=told.append)

        async def stream(api: CloudApiClient) -> None:
            async with api.open_event_stream(SCOPE, "j"):
                raise AssertionError

        with pytest.raises(CloudApiError):
            call(server, stream, on_deprecation=told.append)
    assert [(notice.message, notice.sunset) for notice in told] == [("soon", "later")] * 3


def test_the_backends_clock_is_compared() -> None:
    async def offset(api: CloudApiClient) -> float | None:
        await api.me()
        return api.transport.clock_offset

    with ScriptedServer() as server:
        date = httpx.Headers({"date": "Fri, 01 Jan 2100 00:00:00 GMT"})
        server.on("GET", "/v1/me", Answer(200, dict(date), b"{}"))
        seen = call(server, offset)
        assert seen is not None
        assert abs(time.time() + seen - 4102444800) < 5
        server.on("GET", "/v1/me", Answer(200, {"date": "nonsense"}, b"{}"))
        assert call(server, offset) is None


def test_a_dataset_is_sent_once(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(b'{"prompt": "a"}\n' * 200_000)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with ScriptedBackend() as backend:
        for _ in range(2):
            call(backend, lambda api: api.put_dataset(digest, file))
        assert [request.method for request in backend.requests] == ["HEAD", "PUT", "HEAD"]
        assert backend.datasets == {digest: file.read_bytes()}
        with pytest.raises(CloudApiError, match="digest_mismatch"):
            call(backend, lambda api: api.put_dataset("0" * 64, file))


def test_a_backend_that_takes_no_datasets_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with ScriptedServer() as server:
        server.on("PUT", "/v1/datasets/{sha256}", Answer(405))
        with pytest.raises(CloudApiError) as caught:
            call(server, lambda api: api.put_dataset("0" * 64, tmp_path / "a"))
        assert caught.value.status == 405


def test_an_answer_that_breaks_off_is_tried_again() -> None:
    def half(request: Received) -> Answer:
        return Answer(200, {"content-type": "application/json"}, [b'{"job":', Cut()])

    with ScriptedServer() as server:
        server.on("GET", "/v1/jobs/{id}", half, answer_json({"job": JOB}))
        call(server, get_job)
        assert len(server.requests) == 2


def test_nothing_for_this_machine_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as proxy, ScriptedBackend() as backend:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        call(backend, lambda api: api.me())
        assert proxy.requests == []


def test_a_transport_names_its_host_alone() -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as http:
            assert Transport("https://u:pw@api.host/x", None, http=http).host == "api.host"
            assert Transport("http://host:port", None, http=http).host == "the backend"

    asyncio.run(run())


def test_a_code_is_shown_with_what_explains_it() -> None:
    body = {"error": "slug_taken", "message": "the slug `a` is taken"}
    with ScriptedServer() as server, pytest.raises(CloudApiError) as caught:
        server.on("GET", "/v1/jobs/{id}", answer_json(body, 409))
        call(server, get_job)
    assert caught.value.message == "the slug `a` is taken (slug_taken)"
    assert caught.value.code == "slug_taken"


@pytest.mark.parametrize("first", [Answer(503), Answer(before=(Cut(),))], ids=["busy", "cut"])
def test_stopping_a_job_is_tried_again(first: Answer) -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs/{id}/cancel", first, answer_json({}))
        call(server, lambda api: api.cancel_job(SCOPE, "job-1"))
        keys = [request.headers["idempotency-key"] for request in server.requests]
        call(server, lambda api: api.cancel_job(SCOPE, "job-1"))
        assert len(keys) == 2
        assert len({*keys, server.requests[-1].headers["idempotency-key"]}) == 2


def test_a_job_that_has_ended_is_stopped_in_vain_at_once() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/jobs/{id}/cancel", Answer(409))
        with pytest.raises(CloudApiError):
            call(server, lambda api: api.cancel_job(SCOPE, "job-1"))
        assert len(server.requests) == 1
