"""A webhook's address, which is a secret, stays out of every log; and what a hook is sent."""

import asyncio
import logging
from pathlib import Path

import pytest

from arkor.errors import ConfigError
from arkor.runner.webhook import Webhook
from arkor.testing import Answer, Received, ScriptedServer, answer_json

SECRET = "secret-of-the-hook"


def post(url: str) -> object:
    return asyncio.run(Webhook(url)._post({"text": "größe"}, "key-1"))


@pytest.mark.parametrize(
    "answer",
    [Answer(200), Answer(500), Answer(302, {"location": f"https://host/{SECRET}"})],
    ids=["taken", "refused", "sent elsewhere"],
)
def test_the_address_is_in_no_record_of_any_logger(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer() as hook, caplog.at_level(logging.DEBUG):
        hook.on("POST", f"/{SECRET}", answer)
        assert post(f"{hook.url}/{SECRET}") == {"status": answer.status}
        assert len(hook.requests) == 1
        for name in ("httpx", "httpcore.http11", "httpcore.connection"):
            assert logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert SECRET not in "".join(f"{each.getMessage()} {each.args}" for each in caplog.records)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "127.0.0.1:no", "[", "host.invalid"])
def test_one_that_cannot_be_reached_is_named_by_its_failure_alone(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert set(post(f"http://{host}/{SECRET}")) == {"error"}  # type: ignore[call-overload]
    assert "a webhook was not reached" in caplog.text
    assert SECRET not in caplog.text


def test_it_is_sent_json_under_a_name_that_hooks_let_in() -> None:
    with ScriptedServer() as hook:
        hook.on("POST", "/h%C3%B6ok", answer_json({}))
        post(f"{hook.url}/höok?wait=true")
        (request,) = hook.requests
    assert request.json() == {"text": "größe"}
    assert request.target == "/h%C3%B6ok?wait=true"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "key-1"
    # Some hooks turn away whatever calls itself a library.
    assert request.headers["user-agent"].startswith("arkor/")


def test_a_name_and_password_in_the_address_are_sent_as_such() -> None:
    with ScriptedServer() as hook:
        hook.on("POST", "/", Answer(204))
        assert post(hook.url.replace("//", "//ada:p%40w@")) == {"status": 204}
        (request,) = hook.requests
    assert request.headers["authorization"] == "Basic YWRhOnBAdw=="
    assert "ada" not in request.headers["host"]


def test_it_goes_through_the_environments_proxy_but_not_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take(request: Received) -> Answer:
        assert request.target == f"http://hooks.example/{SECRET}"
        return Answer(200)

    with ScriptedServer() as proxy, ScriptedServer() as hook:
        proxy.on("POST", f"http://hooks.example/{SECRET}", take)
        hook.on("POST", "/here", Answer(200))
        monkeypatch.setenv("http_proxy", proxy.url)
        assert post(f"http://hooks.example/{SECRET}") == {"status": 200}
        assert post(f"{hook.url}/here") == {"status": 200}
        assert (len(proxy.requests), len(hook.requests)) == (1, 1)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def main() -> object:
        server = await asyncio.start_server(_hang_up, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await Webhook(f"https://localhost:{port}/{SECRET}")._post({}, "key")

    assert asyncio.run(main()) == {"error": "SSLCertVerificationError"}


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_an_address_that_is_none_is_refused_unquoted() -> None:
    with pytest.raises(ConfigError, match="https://") as caught:
        Webhook(f"ftp://host/{SECRET}")
    assert SECRET not in str(caught.value)
