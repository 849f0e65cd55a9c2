"""Getting an identity from the backend."""

import asyncio
import traceback

import httpx
import pytest

from arkor.client.auth import CliConfig, cli_config, refresh_tokens, request_anonymous_token
from arkor.errors import AnonymousTokenRejectedError, CloudApiError, ProtocolError
from arkor.testing import Answer, ScriptedBackend, ScriptedServer, answer_json

IDENTITY = {
    "token": "secret-token-0123456789",
    "anonymousId": "anon-1",
    "kind": "cli",
    "personalOrg": {"id": "o", "slug": "anon-org", "name": "A"},
}


def test_an_anonymous_identity_and_no_token_in_its_repr() -> None:
    with ScriptedBackend() as backend:
        identity = asyncio.run(request_anonymous_token(backend.url, "web"))
        [request] = backend.requests
    assert (identity.anonymous_id, identity.kind) == ("anon-1", "web")
    assert identity.org_slug == "anon-org"
    assert identity.token not in repr(identity)
    assert request.json() == {"kind": "web"}
    assert request.headers["x-arkor-client"].startswith("arkor/")
    assert "authorization" not in request.headers


def test_a_given_client_stays_open() -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as http:
            await request_anonymous_token(backend.url, http=http)
            assert not http.is_closed

    with ScriptedBackend() as backend:
        asyncio.run(run())


def test_a_refusal_has_its_own_type() -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/auth/anonymous", answer_json({"error": "disabled"}, 403))
        with pytest.raises(AnonymousTokenRejectedError, match=r"\(403\): disabled") as caught:
            asyncio.run(request_anonymous_token(server.url))
        assert (caught.value.status, caught.value.code) == (403, "disabled")
        assert len(server.requests) == 1


@pytest.mark.parametrize("missing", ["token", "anonymousId", "kind", "personalOrg"])
def test_an_identity_that_lacks_something_is_none(missing: str) -> None:
    broken = {key: value for key, value in IDENTITY.items() if key != missing}
    with ScriptedServer() as server:
        server.on("POST", "/v1/auth/anonymous", answer_json(broken))
        with pytest.raises(ProtocolError, match="anonymous identity needs") as caught:
            asyncio.run(request_anonymous_token(server.url))
    assert "secret-token" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", [b'{"token":"hush-hus', b'["hush-hush"]', b"hush-hush"])
def test_no_body_of_an_identity_is_quoted(body: bytes, status: int) -> None:
    with ScriptedServer() as server:
        server.on("POST", "/v1/auth/anonymous", Answer(status, {}, body))
        with pytest.raises((ProtocolError, AnonymousTokenRejectedError)) as caught:
            asyncio.run(request_anonymous_token(server.url))
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    # The JSON library's error has the whole body in an attribute.
    assert not isinstance(caught.value.__cause__, ValueError)


REFRESH = "refresh/token"


@pytest.mark.parametrize(
    "answer",
    [
        answer_json({"error": "invalid_grant", "message": f"{REFRESH} is spent"}, 403),
        answer_json({"error_description": f"no such token: {REFRESH}"}, 403),
        Answer(400, {}, f"refresh_token={REFRESH}".encode()),
        Answer(200, {}, f'{{"access_token":"new-token","spent":"{REFRESH}'.encode()),
        answer_json({"access_token": "new-token"}),
    ],
)
def test_no_token_of_a_refresh_stands_in_an_error(answer: Answer) -> None:
    with ScriptedServer() as server:
        server.on("POST", "/oauth/token", answer)
        with pytest.raises((ProtocolError, CloudApiError)) as caught:
            asyncio.run(refresh_tokens(server.url.removeprefix("http://"), "client", REFRESH))
    said = "".join(traceback.format_exception(caught.value))
    assert REFRESH not in said
    assert "new-token" not in said


def test_how_a_command_line_signs_in() -> None:
    with ScriptedServer() as server:
        server.on(
            "GET",
            "/v1/auth/cli/config",
            answer_json(
                {
                    "auth0Domain": "tenant.auth0.com",
                    "clientId": "c",
                    "audience": "a",
                    "callbackPorts": [52521, 0],
                }
            ),
            answer_json({"auth0Domain": None, "clientId": None, "callbackPorts": None}),
            Answer(404),
        )
        offered = asyncio.run(cli_config(server.url))
        assert offered == CliConfig("tenant.auth0.com", "c", "a", (52521, 0))
        assert offered.oauth
        assert not asyncio.run(cli_config(server.url)).oauth
        with pytest.raises(CloudApiError):
            asyncio.run(cli_config(server.url))
